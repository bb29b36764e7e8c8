"""JupyterLab in a real browser: a notebook from its first cell to its last, and the live picture.

Headless Chromium is driven by its own driver. Screenshots are kept in the test's directory.
"""

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

selenium = pytest.importorskip("selenium", reason="needs selenium: `make setup` installs it")
from selenium import webdriver  # noqa: E402
from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="needs chromium and chromedriver: `sh setup/system.sh test` installs them where apt has them",
    ),
]
NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
SETTINGS = {
    # All cells on the page at once, not only those in view; and no question whether to fetch news.
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
PATIENCE = 300  # seconds for a notebook to run; it is not what is measured


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def jupyterlab(tmp_path_factory):
    """Return the address of a JupyterLab that `lq lab` opened on copies of the notebooks."""
    home = tmp_path_factory.mktemp("jupyter")
    copies = home / "notebooks"
    shutil.copytree(NOTEBOOKS, copies)
    for name, setting in SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(setting))
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


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    profile = tmp_path_factory.mktemp("profile")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1600"):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={profile}")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def until(browser, condition, patience=60):
    waiting = WebDriverWait(browser, patience, 0.2, ignored_exceptions=[StaleElementReferenceException])
    return waiting.until(lambda _: condition())


def open_notebook(browser, address, name):
    """Open a notebook by its file's name, alone on the page; return when its kernel is ready."""
    base, _, token = address.partition("?")
    browser.get(f"{base.rstrip('/')}/tree/{name}?reset&{token}")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-CodeCell"))
    # The notebook's own sign says "idle" before there is a kernel, too; the bar at the bottom does not.
    until(browser, lambda: "| Idle" in browser.find_element(By.ID, "jp-bottom-panel").text, 90)


def choose(browser, menu, command):
    """Choose from a menu, as a person does."""
    titles = browser.find_elements(By.CSS_SELECTOR, ".lm-MenuBar-itemLabel")
    next(title for title in titles if title.text == menu).click()
    entry = f".lm-Menu-item[data-command='{command}']"
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, entry))[0].click()


def prompts(browser):
    """Return the prompts of all code cells: [3] when done, [*] while running or waiting."""
    script = (
        "return Array.from(document.querySelectorAll('.jp-CodeCell .jp-InputPrompt'), e => e.textContent)"
    )
    return browser.execute_script(script)


def running(browser):
    return any("*" in prompt for prompt in prompts(browser))


def show(browser, element, path):
    """Take a screenshot with that element in the middle."""
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    browser.save_screenshot(str(path))


def test_a_notebook_runs_in_the_browser(jupyterlab, browser, tmp_path):
    open_notebook(browser, jupyterlab, "02-reboot.ipynb")
    count = len(browser.find_elements(By.CSS_SELECTOR, ".jp-CodeCell"))
    assert count > 3
    choose(browser, "Edit", "editmenu:clear-all")  # what is on the page afterwards was made now
    until(browser, lambda: not figures(browser))
    choose(browser, "Run", "runmenu:run-all")
    until(browser, lambda: running(browser))
    until(browser, lambda: not running(browser), PATIENCE)
    browser.save_screenshot(str(tmp_path / "done.png"))
    assert prompts(browser) == [f"[{number}]:" for number in range(1, count + 1)]
    assert not browser.find_elements(By.CSS_SELECTOR, "[data-mime-type='application/vnd.jupyter.stderr'] pre")
    assert not browser.find_elements(By.CSS_SELECTOR, "[data-mime-type='application/vnd.jupyter.error']")
    assert len(figures(browser)) >= 5
    for number, image in enumerate(browser.find_elements(By.CSS_SELECTOR, ".jp-OutputArea img")):
        show(browser, image, tmp_path / f"figure-{number}.png")
    assert all(width > 300 for width in figures(browser))


def figures(browser):
    """Return the widths of the pictures on the page, in pixels."""
    return browser.execute_script(
        "return Array.from(document.querySelectorAll('.jp-OutputArea img'), image => image.naturalWidth)"
    )


def test_the_live_picture_reboots_when_its_button_is_pressed(jupyterlab, browser, tmp_path):
    open_notebook(browser, jupyterlab, "01-the-figures.ipynb")
    cells = browser.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-Cell")
    showing = next(number for number, cell in enumerate(cells) if "lab.widget()" in cell.text)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", cells[showing + 1])
    cells[showing + 1].click()
    choose(browser, "Run", "notebook:run-all-above")
    button = until(
        browser,
        lambda: browser.find_elements(By.XPATH, "//button[contains(., 'Reboot the concentrator')]"),
        PATIENCE,
    )[0]
    until(browser, lambda: states(browser) == {"located, reached"})
    show(browser, button, tmp_path / "before.png")
    button.click()
    until(browser, lambda: any(state.startswith("unknown") for state in states(browser)))
    show(browser, button, tmp_path / "rebooting.png")
    until(browser, lambda: "holds the switch" in browser.page_source)
    until(browser, lambda: states(browser) == {"located, reached"})
    show(browser, button, tmp_path / "after.png")


def states(browser):
    """Return what the live picture says of the hosts."""
    titles = browser.execute_script(
        "return Array.from(document.querySelectorAll('.jupyter-widgets svg title'), e => e.textContent)"
    )
    return {title.split(", ", 1)[1] for title in titles}
