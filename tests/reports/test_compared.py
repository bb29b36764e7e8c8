"""Runs held against each other, and figures in the size of a paper."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

from lq import figures, plots, reports
from lq.cli import app
from lq.errors import BadInput
from lq.plots import paper
from tests.reports.made import finished
from tests.written import ALONE, REASON, TWO


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    base = tmp_path_factory.mktemp("runs")
    return [
        finished(base / "near", numbers={"recovery_max_s": 0.4, "queries_sent": 3}).directory,
        finished(base / "far", wan__delay=0.02, numbers={"recovery_max_s": 1.0, "queries_sent": 0}).directory,
        finished(base / "lost", back=(0.1, np.inf), valid=False).directory,
        finished(base / "flood", scenario="dos", phases=ALONE).directory,
    ]


def test_settings_that_differ_and_numbers_with_ratios(runs):
    found = reports.compare(runs[:2])
    assert found.settings == {"wan.delay": [0.0, 0.02]}
    assert found.numbers["recovery_max_s"] == [0.4, 1.0]
    assert found.cell("recovery_max_s", 0) == "400 ms"
    assert found.cell("recovery_max_s", 1) == "1 s (2.5)"
    assert found.cell("queries_sent", 1) == "0 (0)"
    assert "seed" not in found.numbers
    assert found.warnings == []


def test_the_curves_of_all_runs_are_in_one_picture(runs):
    drawn = reports.compare(runs[:3]).figures()
    assert set(drawn) == {"recovery", "queries", "delivered"}
    for figure in drawn.values():
        lines = [line for line in figure.axes[0].lines if line.get_label()[0] != "_"]
        assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 3
        names = [text.get_text().partition(" (")[0] for text in figure.axes[0].get_legend().get_texts()]
        assert names == ["near", "far", "lost"]
    queries = drawn["queries"].axes[0].lines
    assert [line.get_ydata()[-1] for line in queries] == [3, 3, 1]


def test_a_run_that_asked_nothing_has_a_curve_too(tmp_path, runs):
    silent = finished(tmp_path / "silent", back=(np.inf, np.inf))
    queries = reports.compare([runs[0], silent.directory]).figures()["queries"]
    assert [line.get_ydata()[-1] for line in queries.axes[0].lines] == [3, 0]


def test_runs_that_are_not_comparable_or_not_valid_are_named(runs):
    found = reports.compare([runs[0], runs[2], runs[3]])
    assert not found.comparable
    assert found.warnings[0].startswith(
        "not comparable: the scenarios ask different questions (near is reboot"
    )
    assert found.warnings[1] == f"not valid: lost: {REASON}"
    assert found.figures() == {}
    assert "scenario" in found.settings


def test_runs_of_the_same_name_are_told_apart(tmp_path, runs):
    (tmp_path / "other").mkdir()
    twin = finished(tmp_path / "other" / "near")
    assert list(reports.compare([runs[0], twin.directory]).runs) == ["near (1)", "near (2)"]


@pytest.mark.parametrize("number", [0, 1, 13])
def test_one_run_or_too_many_are_refused(runs, number):
    with pytest.raises(BadInput, match="compare 2 to 12 runs"):
        reports.compare(runs[:1] * number)


def test_the_table_fits_a_terminal_and_json_has_the_numbers(runs, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = CliRunner().invoke(app, ["compare", *map(str, runs[:3])])
    assert done.exit_code == 0, done.output
    tables = done.output.partition("not valid: lost")[0]
    assert max(map(cell_len, tables.splitlines())) <= 80
    assert "1 s (2.5)" in tables
    assert "…" not in tables
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["compare", *map(str, runs[:2]), "--out", str(out), "--json"])
    found = json.loads(done.output)
    assert (found["comparable"], found["valid"]) == (True, [True, True])
    assert found["settings"] == {"wan.delay": [0.0, 0.02]}
    assert len(found["files"]) == 7
    page = (out / "comparison.html").read_text()
    assert "default-src" in page
    assert "1 s (2.5)" in page


# -- figures for papers

MANY = "; ".join([REASON] * 12)


@pytest.mark.parametrize("how", ["plain", "phases", "doubtful"])
def test_nothing_is_cut_and_no_texts_overlap(tmp_path, how):
    """The label of an outage once ran through title and axis, and names of phases through each other."""
    settings = {"phases": TWO} if how == "phases" else {}
    numbers = {"invalid_reasons": [MANY]} if how == "doubtful" else {}
    run = finished(tmp_path / "run", valid=how != "doubtful", numbers=numbers, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, figure in plots.of_run(run).items():
            figure.draw_without_rendering()
            for ax in figure.axes:
                assert paper.overlapping(ax) == [], name
                around = ax.get_tightbbox()
                assert around.x0 > -1, name
                assert around.x1 < figure.bbox.x1 + 1, name
                assert around.y0 > -1, name
                assert around.y1 < figure.bbox.y1 + 1, name


def test_a_figure_of_a_papers_size_can_be_read(tmp_path):
    run = finished(tmp_path / "run")
    written, left_out = paper.save(plots.of_run(run), run.directory, paper.read(["pdf,png"], "3.5x2.2", 300))
    assert left_out == ["sequence"]
    assert {path.name for path in written} == {
        f"{name}.{kind}"
        for name in ("recovery", "queries", "packets", "delivered")
        for kind in ("pdf", "png")
    }
    png = (run.directory / "figures/recovery.png").read_bytes()
    assert (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")) == (1050, 660)
    pdf = (run.directory / "figures/recovery.pdf").read_bytes()
    assert b"/FontFile2" in pdf  # TrueType, in the file: fonttype 42
    assert b"/Type3" not in pdf
    assert b"/CreationDate" not in pdf
    figure = plots.recovery_curve(run)
    assert paper.fit(figure, (3.5, 2.2))
    sizes = [text.get_fontsize() for text in figure.findobj(lambda a: hasattr(a, "get_fontsize"))]
    assert min(sizes) >= paper.LEAST_LETTER
    assert not paper.fit(plots.recovery_curve(run), (1, 1))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "jpg"], "unknown format 'jpg'"), (["--format", ""], "--format"),
        (["--size", "3.5"], "write WIDTHxHEIGHT"), (["--size", "0x2"], "use 1 to 20 inches"),
        (["--size", "3x99"], "use 1 to 20 inches"), (["--size", "1e3x2"], "write WIDTHxHEIGHT"),
        (["--size", "nanxnan"], "write WIDTHxHEIGHT"), (["--dpi", "0"], "use 30 to 1200"),
        (["--dpi", "99999999999"], "use 30 to 1200"), (["--size", "20x20", "--dpi", "1200"], "dots"),
    ],
)  # fmt: skip
def test_bad_values_of_a_paper_are_one_line(runs, options, said):
    done = CliRunner().invoke(app, ["plot", str(runs[0]), *options])
    assert isinstance(done.exception, BadInput)
    assert said in str(done.exception)
    assert not (runs[0] / "figures").exists()


def test_the_same_pdf_each_time(runs):
    first, second = (
        figures.written(plots.recovery_curve(reports.compare(runs[:2]).runs["near"]), "pdf") for _ in "ab"
    )
    assert first == second
