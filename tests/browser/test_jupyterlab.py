"""JupyterLab in a real browser: a notebook from its first cell to its last, and the live picture.

Screenshots are kept in the test's directory.
"""

import pytest

pytest.importorskip("selenium", reason="needs selenium: `make setup` installs it")
from selenium.webdriver.common.by import By

from tests.browser.pages import NEEDED, PATIENCE, choose, open_notebook, prompts, running, show, states, until

pytestmark = NEEDED


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
