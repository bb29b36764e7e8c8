"""A report in a real browser: no script runs, nothing is cut on a narrow page, in the dark, or on paper."""

from __future__ import annotations

import base64
import re
import shutil

import pytest

from lq import reports
from tests.reports.made import finished
from tests.written import TWO

selenium = pytest.importorskip("selenium", reason="needs selenium: `make setup` installs it")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.print_page_options import PrintOptions  # noqa: E402

pytestmark = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="needs chromium and chromedriver: `sh setup/system.sh test` installs them where apt has them",
)
WIDE = """return [...document.querySelectorAll('figure, svg, h1, h2, h3, p, li, pre, .verdict')]
    .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map(e => e.tagName)"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    base = tmp_path_factory.mktemp("runs")
    attack = "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"
    runs = [
        finished(base / "plain", resent=1),
        finished(base / "two", phases=TWO, valid=False, numbers={"invalid_reasons": [attack, "x" * 500]}),
    ]
    return reports.write([run.directory for run in runs], base / "report.html")


def test_a_report_in_the_browser(browser, report):
    for width in (360, 1280):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
        )
        browser.get(report.as_uri())
        assert browser.title == "Report of several runs"  # no script has run
        assert browser.execute_script(WIDE) == []
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert browser.execute_script("return document.querySelectorAll('svg text').length") > 100
    assert browser.get_log("browser") == []  # the policy has refused nothing that the page needs


def test_a_report_in_the_dark(browser, report):
    browser.get(report.as_uri())
    colours = []
    for scheme in ("light", "dark"):
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        colours.append(
            browser.execute_script(
                "return ['body', 'figure svg'].map(n => getComputedStyle(document.querySelector(n))"
                ".backgroundColor)"
            )
        )
    (light, figure), (dark, same) = colours
    assert light == figure == same == "rgb(255, 255, 255)"
    assert sum(map(int, re.findall(r"\d+", dark))) < 120


def test_a_report_on_paper(browser, report):
    browser.get(report.as_uri())
    options = PrintOptions()
    options.page_width, options.page_height = 21.0, 29.7
    options.shrink_to_fit = False
    pdf = base64.b64decode(browser.print_page(options))
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    assert 8 <= pages <= 20
    boxes = {tuple(map(float, box.split())) for box in re.findall(rb"/MediaBox\s*\[([^\]]*)\]", pdf)}
    assert {(round(box[2]), round(box[3])) for box in boxes} <= {(595, 842), (596, 842), (595, 843)}
    # Laid out as for paper, on the width of A4 without its margins, no figure is wider or higher than a page.
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 680, "height": 1000, "deviceScaleFactor": 1, "mobile": False},
    )
    assert browser.execute_script(WIDE) == []
    assert (
        browser.execute_script(
            "return Math.max(...[...document.querySelectorAll('figure')].map(e => e.offsetHeight))"
        )
        < 1000
    )
