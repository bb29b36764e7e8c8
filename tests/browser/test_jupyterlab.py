"""JupyterLab in a real browser: a notebook from its first cell to its last, and the live picture.

Screenshots are kept in the test's directory.
"""

import pytest

pytest.importorskip("selenium", reason="needs selenium: `make setup` installs it")
from selenium.webdriver.common.by import By

from tests.browser.pages import (
    NEEDED,
    PATIENCE,
    choose,
    forgotten,
    open_notebook,
    prompts,
    run,
    running,
    show,
    states,
    until,
)

pytestmark = NEEDED


def test_a_notebook_runs_in_the_browser(jupyterlab, browser, tmp_path):
    open_notebook(browser, jupyterlab, "02-reboot.ipynb")
    count = len(browser.find_elements(By.CSS_SELECTOR, ".jp-CodeCell"))
    assert count > 3
    choose(browser, "Edit", "editmenu:clear-all")  # what is on the page afterwards was made now
    until(browser, lambda: not figures(browser))
    choose(browser, "Run", "runmenu:run-all")
    until(browser, lambda: prompts(browser)[-1] != "[ ]:")  # they are all marked at once, and run in turn
    until(browser, lambda: not running(browser), PATIENCE)
    browser.save_screenshot(str(tmp_path / "done.png"))
    assert prompts(browser) == [f"[{number}]:" for number in range(1, count + 1)]
    assert not browser.find_elements(By.CSS_SELECTOR, "[data-mime-type='application/vnd.jupyter.stderr'] pre")
    assert not browser.find_elements(By.CSS_SELECTOR, "[data-mime-type='application/vnd.jupyter.error']")
    until(browser, lambda: len(figures(browser)) >= 5)  # a cell is done before its output is on the page
    until(browser, lambda: all(width > 300 for width in figures(browser)))
    for number, image in enumerate(browser.find_elements(By.CSS_SELECTOR, ".jp-OutputArea img")):
        show(browser, image, tmp_path / f"figure-{number}.png")


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
    name = "//button[contains(., 'Reboot the concentrator')]"
    button = until(browser, lambda: browser.find_elements(By.XPATH, name), PATIENCE)[0]
    until(browser, lambda: states(browser) == {"located, reached"})
    show(browser, button, tmp_path / "before.png")
    run(browser, "lab.kill_server()")  # until it is started again nobody can be located
    button.click()
    until(browser, lambda: forgotten(browser))
    show(browser, button, tmp_path / "rebooting.png")
    until(browser, lambda: "holds the switch" in browser.find_element(By.CSS_SELECTOR, ".lq-message").text)
    run(browser, "lab.start_server()")
    until(browser, lambda: states(browser) == {"located, reached"})
    show(browser, button, tmp_path / "after.png")
