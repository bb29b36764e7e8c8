"""JupyterLab in a real browser, shared by all tests here: one server, one headless Chromium."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SETTINGS = {
    # All cells on the page at once, not only those in view; and no question whether to fetch news.
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="package")
def folder(tmp_path_factory):
    """Return the directory that JupyterLab shows: copies of the notebooks, and what tests put there."""
    copies = tmp_path_factory.mktemp("jupyter") / "notebooks"
    shutil.copytree(NOTEBOOKS, copies)
    return copies


@pytest.fixture(scope="package")
def jupyterlab(folder):
    """Return the address of a JupyterLab that `lq lab` opened on the folder."""
    home, copies = folder.parent, folder
    for name, setting in SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(setting))
    (home / "config").mkdir()
    config = {"LabApp": {"expose_app_in_browser": True}}  # for commands that have no place in a menu
    (home / "config" / "jupyter_lab_config.json").write_text(json.dumps(config))
    environment = {
        **os.environ,
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
    }
    command = [sys.executable, "-m", "lq", "lab", str(copies), "--no-browser", "--port", str(free_port())]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + 90
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/lab\S*", (home / "log").read_text())):
            assert process.poll() is None, (home / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield found.group()
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()


@pytest.fixture(scope="package")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium", reason="needs selenium: `make setup` installs it").webdriver
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    profile = tmp_path_factory.mktemp("profile")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1600"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={profile}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()
