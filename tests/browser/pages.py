"""What a person does with JupyterLab in a browser, and sees there."""

import contextlib
import shutil

import nbformat
import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

NEEDED = [
    pytest.mark.lab,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="needs chromium and chromedriver: `sh setup/system.sh test` installs them where apt has them",
    ),
]
PATIENCE = 300  # seconds for a notebook to run; it is not what is measured


def until(browser, condition, patience=60):
    waiting = WebDriverWait(browser, patience, 0.2, ignored_exceptions=[StaleElementReferenceException])
    return waiting.until(lambda _: condition())


def write_notebook(folder, name, cells):
    """Put a notebook with these code cells into the folder that JupyterLab shows."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, folder / name)


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


def command(browser, name, *, wait=True, **arguments):
    """Have JupyterLab carry out one of its commands, and wait until it has, unless told not to."""
    script = "const done = window.jupyterapp.commands.execute(arguments[0], arguments[1]);"
    script += "return done.then(() => null);" if wait else "return null;"
    browser.execute_script(script, name, arguments)


def active(browser, part):
    """Return the text of a part of the cell that is chosen, None while it has no such part."""
    script = (
        "return document.querySelector('.jp-Notebook .jp-Cell.jp-mod-active ' + arguments[0])?.textContent"
    )
    return browser.execute_script(script, part)


def begin(browser, code):
    """Begin to run some code in a new cell below the chosen one; return once it runs or has run."""
    command(browser, "notebook:insert-cell-below")
    until(browser, lambda: active(browser, ".cm-content") == "")  # before its editor is there, text is lost
    command(browser, "notebook:replace-selection", text=code)
    until(browser, lambda: active(browser, ".cm-content"))
    command(browser, "notebook:run-cell", wait=False)  # the command lasts as long as the cell runs
    until(browser, lambda: active(browser, ".jp-InputPrompt") != "[ ]:")


def run(browser, code):
    """Run some code in a new cell below the chosen one; return when no cell runs any more."""
    begin(browser, code)
    until(browser, lambda: not running(browser))


def run_all(browser):
    """Run all cells; return when that is over."""
    choose(browser, "Run", "runmenu:run-all")
    until(browser, lambda: any(prompt != "[ ]:" for prompt in prompts(browser)))
    until(browser, lambda: not running(browser), PATIENCE)


def states(browser):
    """Return what the live picture says of the hosts, empty while it does not stand there."""
    titles = browser.execute_script(
        "return Array.from(document.querySelectorAll('.lq-live rect title'), e => e.textContent)"
    )
    return {title.split(", ", 1)[1] for title in titles if title.startswith("host")}


def forgotten(browser):
    """Whether the live picture shows no host with a location.

    With a server that answers this may last for milliseconds: kill it before a reboot that is to be seen.
    """
    shown = states(browser)
    return bool(shown) and shown <= {"unknown", "asking"}


def seen(browser, selector):
    """Return the elements that are displayed; those of one moment, since tables are drawn anew."""
    for _ in range(50):
        with contextlib.suppress(StaleElementReferenceException):
            found = browser.find_elements(By.CSS_SELECTOR, selector)
            return [element for element in found if element.is_displayed()]
    raise AssertionError(f"{selector} is never still")
