"""A run's directory that somebody made to attack who opens a report of it."""

from __future__ import annotations

import json
import re
import shutil

import pandas as pd
import pytest

from lq import plots, reports
from lq.errors import BadInput
from lq.plots import paper
from lq.reports import page as pages
from lq.reports import sections
from lq.results.finished_run import Run
from tests.reports.made import MANIFEST, finished
from tests.reports.page import Page
from tests.written import TWO

ATTACK = "\"'><script>alert(1)</script><img src=x onerror=alert(2)></svg></style><a href=javascript:alert(3)>"
ODD = "\x1b[2J\x00\u202e\ud800 &#60;script&#62; ]]> --> $\\frac{1}{2}$"
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "main", "section", "nav", "footer", "div", "p", "a"),
    *("h1", "h2", "h3", "strong", "ol", "ul", "li", "table", "caption", "thead", "tbody", "tr", "th", "td"),
    *("pre", "figure", "figcaption", "img"),
    *("svg", "g", "path", "defs", "clippath", "rect", "use", "text", "tspan", "image"),
}


def attacked(directory, attack):
    """Write a run that has `attack` in each of its texts: names, reasons, tables, specification, manifest."""
    run = finished(
        directory, valid=False, phases=TWO,
        numbers={
            "invalid_reasons": [attack, attack * 3], "verdict": attack, "server": attack, attack: attack,
            "backend": attack,
        },
        manifest={
            **dict.fromkeys(MANIFEST, attack),
            "versions": {attack: attack, "x": [attack, {attack: attack}]},
            "seed": attack,
        },
    )  # fmt: skip
    spec = json.loads(json.dumps(run.spec.model_dump(mode="json")))
    text = attack.encode("utf-8", "replace").decode()
    spec["concentrator"]["trusted_circuits"] = [re.sub(r"[\x00-\x1f\ud800\u202e]", "", text)]
    (directory / "spec.yaml").write_text(json.dumps(spec))
    tables = [("probes", "subscriber"), ("probes", "address"), ("queries", "address"), ("phases", "phase")]
    for name, column in [*tables, ("queries", "reply")]:
        table = pd.read_parquet(directory / f"{name}.parquet")
        table[column] = table[column] + text
        table.to_parquet(directory / f"{name}.parquet")
    return run


@pytest.mark.parametrize("attack", [ATTACK, ODD], ids=["markup", "odd signs"])
def test_no_text_of_a_run_becomes_part_of_the_page(tmp_path, attack):
    name = "run" + re.sub(r"[\x00/\ud800]", "", attack)[:60]
    run = attacked(tmp_path / name, attack)
    octets = reports.write([run.directory], tmp_path / "report.html").read_bytes()
    text = octets.decode()  # valid UTF-8
    page = Page(text)
    assert set(page.tags) <= ALLOWED
    assert not [key for _, key, _ in page.attributes if key.startswith("on")]
    assert all(value.startswith("#") for value in page.values("href"))
    assert not [value for value in page.values("src") if not value.startswith("data:image/png;base64,")]
    assert page.tags.count("svg") == 5
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", text)
    assert len(octets) < 1_000_000


def test_the_attack_has_reached_every_part_of_the_page(tmp_path):
    """Else the test above would say nothing."""
    page = Page(
        reports.write([attacked(tmp_path / "run", ATTACK).directory], tmp_path / "report.html").read_text()
    )
    heads = (
        "Not valid",
        "Figures",
        "Numbers",
        "Phases",
        "Specification",
        "Origin of the figures",
        "scenario: ",
    )
    starts = [page.text.index(head) for head in heads]
    assert starts == sorted(starts)
    parts = [page.text[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
    assert [head for head, part in zip(heads, parts, strict=True) if "<script>" not in part] == []


def test_figures_bear_signs_that_no_file_can_hold(tmp_path):
    """Half a surrogate pair in a reason once ended `lq plot`."""
    run = finished(tmp_path / "run", valid=False, numbers={"invalid_reasons": [ODD]})
    assert len(plots.save(run)) == 10
    assert paper.save(plots.of_run(run), run.directory, paper.Paper(("pdf",)))[0]


def test_a_report_is_bounded(tmp_path):
    """Each memory is filled beyond its bound: reasons, lines, keys, phases, versions, the specification."""
    run = finished(
        tmp_path / "run", valid=False,
        numbers={
            "invalid_reasons": [f"reason {n} " + "x" * 40 for n in range(5_000)],
            "verdict": "v" * 200_000, **{f"key{n}": n for n in range(5_000)},
        },
        manifest={**MANIFEST, "versions": {f"package{n}": "1" * 1000 for n in range(5_000)}},
    )  # fmt: skip
    phases = pd.DataFrame(
        [(f"phase {n} " + "y" * 500, 5.0 * n, 5.0 * n + 1, 5.0 * n + 5) for n in range(100)],
        columns=["phase", "start", "ready", "end"],
    )
    phases.to_parquet(run.directory / "phases.parquet")
    text = reports.write([run.directory], tmp_path / "report.html").read_text()
    assert len(text) < 3_000_000
    page = Page(text)
    assert f"and {5_000 - sections.MOST_REASONS:,} more reasons" in page.text
    assert "the first 8 of 100" in page.text
    assert "key400" in page.text
    assert "key900" not in page.text


def test_a_specification_that_is_too_long_is_refused(tmp_path):
    run = finished(tmp_path / "run")
    spec = run.spec.model_dump(mode="json")
    spec["concentrator"]["trusted_circuits"] = ["x" * 9_000] * 10
    (run.directory / "spec.yaml").write_text(json.dumps(spec))
    with pytest.raises(BadInput, match=r"spec\.yaml has more than 65,536 characters"):
        reports.write([run.directory])


def test_a_page_that_is_too_large_is_refused(tmp_path, monkeypatch):
    run = finished(tmp_path / "run")
    monkeypatch.setattr(pages, "MOST_OCTETS", 50_000)
    with pytest.raises(BadInput, match="would be larger than"):
        reports.write([run.directory])
    assert not (run.directory / "report.html").exists()


@pytest.mark.parametrize("name", ["manifest.json", "spec.yaml", "summary.json", "phases.parquet"])
def test_a_damaged_file_is_named(tmp_path, name):
    run = finished(tmp_path / "run")
    (run.directory / name).write_bytes(b"\xff\xfe{[")
    with pytest.raises(BadInput, match=name):
        reports.made([run.directory])


def test_a_comparison_escapes_too(tmp_path):
    one, two = finished(tmp_path / "one"), attacked(tmp_path / "two<script>", ATTACK)
    reports.compare([one.directory, two.directory]).save(tmp_path / "out")
    page = Page((tmp_path / "out/comparison.html").read_text())
    assert set(page.tags) <= ALLOWED
    assert "two<script>" in page.text
    shutil.rmtree(tmp_path / "out")
    assert isinstance(Run(two.directory), Run)
