"""The live picture and table in JupyterLab: keyboard, dark, narrow; without a kernel, exported, untrusted.

Screenshots are kept in the test's directory.
"""

import json
import subprocess
import sys

import pytest

pytest.importorskip("selenium", reason="needs selenium: `make setup` installs it")
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from lq.widget import scene, shapes
from lq.widget.picture import NARROWEST, WIDEST, draw
from tests.browser.pages import (
    NEEDED,
    begin,
    command,
    forgotten,
    open_notebook,
    run,
    run_all,
    running,
    seen,
    states,
    until,
    write_notebook,
)
from tests.widget.scenes import view

pytestmark = NEEDED

OPEN = 'from lq import Lab\nlab = Lab("cable")\nlab.start_probes()'
BUTTON = ".lq-live .lq-button"
WATCH = 'table = lab.watch("hosts", every=0.5)\ntable'
# The server is dead until the page has been seen without locations: no reboot is too fast to be seen.
DURING = """
import pathlib, re, time
job = lab.start("internet", "ping -i 0.2 host3")
lab.kill_server()
while not pathlib.Path("seen").exists():
    time.sleep(0.02)
lab.start_server()
lab.wait_until_reached(60)
before = len(job.output)
while len(job.output) == before:
    time.sleep(0.02)
numbers = [int(number) for number in re.findall(r"icmp_seq=(\\d+) ttl", job.stop().output)]
print("lost:", numbers[-1] - len(numbers))
"""
NAME = "live-picture.ipynb"


@pytest.fixture(scope="module")
def page(jupyterlab, folder, browser):
    """Return a browser with a notebook that shows a live network and a table, saved while it is alive."""
    write_notebook(
        folder, NAME, [OPEN, "lab.widget(every=0.2)", 'table = lab.watch("hosts", every=0.5)\ntable']
    )
    open_notebook(browser, jupyterlab, NAME)
    run_all(browser)
    until(browser, lambda: states(browser) == {"located, reached"})
    save(browser, folder)
    return browser


def save(browser, folder):
    """Save the notebook once its outputs hold the present still picture, which is not seen; wait for that."""
    script = (
        "return Array.from(document.querySelectorAll('.jp-OutputArea img'), e => decodeURIComponent(e.src))"
    )
    until(browser, lambda: "reached by probes: 3 of 3" in "".join(browser.execute_script(script)))
    command(browser, "docmanager:save")
    until(browser, lambda: "3 located; probes reach 3" in (folder / NAME).read_text())
    until(browser, lambda: (folder / NAME).read_text().endswith("}\n"))


def pictures(browser):
    """Return all pictures of the network that are seen, live ones and still ones."""
    return seen(browser, ".lq-live svg, .jp-OutputArea-output img, .jp-OutputArea-output > svg")


def test_one_picture_is_seen_and_it_is_the_live_one(page, tmp_path):
    (picture,) = pictures(page)
    assert picture.tag_name == "svg"
    assert len(seen(page, ".lq-live table")) == len(seen(page, "table")) == 1
    told = picture.get_attribute("aria-label")
    assert "CMTS is up; server is up; 3 hosts: 3 located; probes reach 3 of them." in told
    assert "located: host1 to host3." in told
    page.save_screenshot(str(tmp_path / "live.png"))


def test_the_button_works_by_keyboard_and_keeps_the_focus(page, tmp_path):
    button = page.find_element(By.CSS_SELECTOR, BUTTON)
    run(page, "lab.kill_server()")  # until it is started again nobody can be located
    page.execute_script("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)
    until(page, lambda: forgotten(page))
    page.save_screenshot(str(tmp_path / "rebooting.png"))
    until(page, lambda: "holds the switch" in page.find_element(By.CSS_SELECTOR, ".lq-message").text)
    assert page.switch_to.active_element == button
    run(page, "lab.start_server()")
    until(page, lambda: states(page) == {"located, reached"})
    assert "since the reboot" in page.find_element(By.CSS_SELECTOR, ".lq-live svg").text
    assert seen(page, ".lq-arrow")  # the queries that brought them back
    spoken = page.find_element(By.CSS_SELECTOR, ".lq-spoken")
    until(page, lambda: "3 located" in spoken.get_attribute("textContent"))
    page.save_screenshot(str(tmp_path / "rebooted.png"))


def outputs(browser):
    return [element.text for element in seen(browser, ".jp-OutputArea-output")]


def test_the_button_reboots_while_a_cell_runs(page, folder, tmp_path):
    begin(page, DURING)
    page.find_element(By.CSS_SELECTOR, BUTTON).click()
    until(page, lambda: forgotten(page))
    page.save_screenshot(str(tmp_path / "during.png"))
    until(page, lambda: "holds the switch" in page.find_element(By.CSS_SELECTOR, ".lq-message").text)
    (folder / "seen").touch()
    until(page, lambda: not running(page))  # it ends when it has seen the reboot
    (said,) = until(page, lambda: [text for text in outputs(page) if "lost:" in text or "Error" in text])
    assert int(said.removeprefix("lost: ")) > 0


def test_the_dark_theme_and_half_a_window_are_legible(page, tmp_path):
    page.set_window_size(800, 1200)
    command(page, "apputils:change-theme", theme="JupyterLab Dark")
    try:
        until(page, lambda: page.find_elements(By.CSS_SELECTOR, "body[data-jp-theme-light='false']"))
        until(page, lambda: contrast(page) > 0.5)
        until(page, lambda: smallest_text(page) >= 10)
        page.save_screenshot(str(tmp_path / "dark.png"))
        (picture,) = pictures(page)
        until(page, lambda: picture.rect["width"] < 400)
    finally:
        command(page, "apputils:change-theme", theme="JupyterLab Light")
        page.set_window_size(1400, 1600)


def smallest_text(browser):
    """Return the height of the smallest line of text in the picture as it is seen, in pixels."""
    return browser.execute_script(
        "return Math.min(...Array.from(document.querySelectorAll('.lq-live svg > text'),"
        " text => text.getBoundingClientRect().height))"
    )


def contrast(browser):
    """Return the difference in lightness, 0 to 1, between the picture's paper and what is written on it."""
    script = """
        const [paper, text] = ["svg > rect", "svg > text"].map(name => {
            const fill = getComputedStyle(document.querySelector(".lq-live " + name)).fill;
            return fill.match(/[\\d.]+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 765;
        });
        return Math.abs(paper - text);"""
    return browser.execute_script(script)


def test_an_export_shows_the_still_picture(page, jupyterlab, folder, tmp_path):
    command_line = [sys.executable, "-m", "nbconvert", "--to", "html", f"--output-dir={tmp_path}"]
    subprocess.run([*command_line, str(folder / NAME)], check=True, capture_output=True)
    window = page.current_window_handle
    page.switch_to.new_window("tab")
    try:
        page.get((tmp_path / NAME).with_suffix(".html").as_uri())
        (picture,) = until(page, lambda: pictures(page))
        assert picture.rect["width"] > 300
        page.save_screenshot(str(tmp_path / "export.png"))
        assert "Error displaying" not in page.find_element(By.TAG_NAME, "body").text
        assert "still table" in page.find_element(By.TAG_NAME, "body").text
    finally:
        page.close()
        page.switch_to.window(window)


def test_what_was_stopped_says_why(page):
    run(page, "table.stop('that is enough')")
    until(page, lambda: [alarm.text for alarm in seen(page, ".lq-old .lq-alarm")] == ["that is enough"])


def test_after_a_restart_the_old_picture_says_so_and_its_button_is_dead(page, tmp_path):
    command(page, "kernelmenu:restart", wait=False)  # it lasts until the question is answered
    until(page, lambda: seen(page, ".jp-Dialog .jp-mod-accept"))[0].click()
    alarm = until(page, lambda: seen(page, ".lq-old:has(.lq-button:not([hidden])) .lq-alarm"))[0]
    page.save_screenshot(str(tmp_path / "restarted.png"))
    assert "the kernel, the lab or the connection is gone" in alarm.text
    assert not page.find_element(By.CSS_SELECTOR, BUTTON).is_enabled()


def test_reopened_without_its_kernel_the_still_picture_stands_there_alone(page, jupyterlab, folder, tmp_path):
    open_notebook(page, jupyterlab, NAME)
    (picture,) = until(page, lambda: pictures(page))
    assert picture.tag_name == "img"
    assert picture.rect["width"] > 300
    until(page, lambda: "Error displaying widget" in page.page_source)  # JupyterLab has given up, unseen
    assert not seen(page, ".lm-Panel.jupyter-widgets")
    assert len(seen(page, "table")) == 1
    page.save_screenshot(str(tmp_path / "reopened.png"))


def test_an_untrusted_notebook_shows_the_still_picture(page, jupyterlab, folder, tmp_path):
    notebook = json.loads((folder / NAME).read_text())
    notebook["cells"][0]["source"] = "# changed by somebody else"
    for cell in notebook["cells"]:
        cell["metadata"].pop("trusted", None)
        for output in cell["outputs"]:
            output.get("metadata", {})["by"] = "somebody else"
    (folder / "untrusted.ipynb").write_text(json.dumps(notebook))
    open_notebook(page, jupyterlab, "untrusted.ipynb")
    (picture,) = until(page, lambda: pictures(page))
    page.save_screenshot(str(tmp_path / "untrusted.png"))
    assert picture.get_attribute("src").startswith("data:image/png")
    assert picture.rect["width"] > 300


@pytest.mark.parametrize("width", [NARROWEST, WIDEST])
@pytest.mark.parametrize(("modems", "each"), [(2, (1, 2)), (30, 4), (120, 1), (12, 10)])
def test_every_text_is_within_its_box(browser, tmp_path, modems, each, width):
    drawing = draw(scene.read(view(modems, each, figure="dsl")), width=width)
    path = tmp_path / "picture.svg"
    path.write_text(shapes.svg(drawing))
    browser.get(path.as_uri())
    boxes, texts = browser.execute_script(
        "return ['rect', 'text'].map(kind => Array.from(document.getElementsByTagName(kind), e => {"
        " const {x, y, width, height} = e.getBBox();"
        " return [x, y, x + width, y + height, e.textContent]; }))"
    )
    browser.save_screenshot(str(tmp_path / "picture.png"))
    hosts = {told.split(":")[0]: box for *box, told in boxes if told.startswith("host")}
    assert len(hosts) == sum(each) if isinstance(each, tuple) else modems * each
    for left, top, right, bottom, text in texts:
        assert left >= 0
        assert right <= drawing.width, text
        middle = ((left + right) / 2, (top + bottom) / 2)
        for box in hosts.values():
            if box[0] < middle[0] < box[2] and box[1] < middle[1] < box[3]:
                assert box[0] <= left, text
                assert right <= box[2], text
