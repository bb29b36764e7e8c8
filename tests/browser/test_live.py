"""The live lab in JupyterLab in a real browser, as a person uses it: interrupts, cells run twice, a ping."""

import re
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="needs selenium: `make setup` installs it")
from selenium.webdriver.common.by import By

from tests.browser.pages import (
    NEEDED,
    choose,
    open_notebook,
    prompts,
    running,
    until,
    write_notebook,
)

pytestmark = NEEDED
CELLS = [
    'from lq import Lab\nlab = Lab("cable")\nprint("keeper", lab._connection.pid)',
    'lab.run("internet", "ping host3")',
    'list(lab.hosts().columns), lab.run("internet", "pgrep -cx ping").output.strip(), lab.running()',
    'job = lab.start("internet", "ping -c 40 -i 0.2 -W 1 host3")\nlab.reboot()\njob.wait()',
    "lab.close()",
]
KEEPER = r"keeper (\d+)"
COUNTS = r"(\d+) packets transmitted, (\d+) received"


def output(browser, number):
    """Return what is shown below a code cell, counted from 0."""
    cell = browser.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-CodeCell")[number]
    return "\n".join(part.text for part in cell.find_elements(By.CSS_SELECTOR, ".jp-OutputArea-output"))


def begin_cell(browser, number):
    """Run a cell."""
    cell = browser.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-CodeCell")[number]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", cell)
    cell.find_element(By.CSS_SELECTOR, ".jp-InputPrompt").click()
    choose(browser, "Run", "runmenu:run")


def run_cell(browser, number, said=""):
    """Run a cell; return its output when it is done and its output is shown, which must match `said`."""
    before = prompts(browser)[number]
    begin_cell(browser, number)
    until(browser, lambda: prompts(browser)[number] != before, 120)
    until(browser, lambda: not running(browser), 180)
    return until(browser, lambda: re.search(said, output(browser, number))).string


def test_interrupts_cells_run_twice_and_a_reboot_during_a_ping(folder, jupyterlab, browser, tmp_path):
    write_notebook(folder, "live.ipynb", CELLS)
    open_notebook(browser, jupyterlab, "live.ipynb")
    first = re.search(KEEPER, run_cell(browser, 0, KEEPER))[1]

    for _ in range(2):  # interrupted in mid-call; then every answer is the one to its question
        begin_cell(browser, 1)
        until(browser, lambda: "icmp_seq=3" in output(browser, 1), 120)
        choose(browser, "Kernel", "kernelmenu:interrupt")
        until(browser, lambda: not running(browser))
        until(browser, lambda: "KeyboardInterrupt" in output(browser, 1))
        answers = run_cell(browser, 2, r"\(\[.*\}\)")
        assert "(['host', 'address', 'state'], '0', {'concentrator': True, 'server': True})" in answers
    browser.save_screenshot(str(tmp_path / "interrupted.png"))

    for _ in range(2):  # a reboot in the midst of a ping, which counts what is lost
        shown = run_cell(browser, 3, COUNTS)
        sent, received = map(int, re.search(COUNTS, shown).groups())
        assert sent == 40
        assert received == shown.count("bytes from")
        assert 0 < received < 40
    browser.save_screenshot(str(tmp_path / "ping.png"))

    second = re.search(KEEPER, run_cell(browser, 0, KEEPER))[1]  # run again: the former lab is closed
    assert second != first
    until(browser, lambda: not Path(f"/proc/{first}").exists())
    assert Path(f"/proc/{second}").exists()
    assert run_cell(browser, 4) == ""
    assert not Path(f"/proc/{second}").exists()
