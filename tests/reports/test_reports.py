"""Reports: what is in them, that they need nothing else, and that they repeat what they are about."""

from __future__ import annotations

import json
import re
import shlex

import pytest
from typer.testing import CliRunner

from lq import files, reports
from lq.cli import app
from lq.errors import BadInput
from lq.experiments import run as running
from lq.experiments import sweep as sweeping
from lq.experiments.spec import SCENARIOS, load
from lq.reports import specification, words
from lq.results.finished_sweep import Sweep, holds_another
from tests.reports.made import finished, swept
from tests.reports.page import Page
from tests.written import REASON, TWO


def page_of(*directories) -> Page:
    return Page(reports.made(list(directories)).decode())


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return finished(tmp_path_factory.mktemp("runs") / "plain", resent=1)


@pytest.fixture(scope="module")
def page(plain):
    return page_of(plain.directory)


def test_a_report_needs_nothing_else(plain, page):
    text = reports.made([plain.directory]).decode()
    assert "default-src 'none'" in next(v for v in page.values("content") if "default-src" in v)
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", text)
    assert all(value.startswith("#") for value in page.values("href"))
    assert not page.values("src")


def test_a_report_says_what_came_of_the_run(plain, page):
    assert page.tags.count("svg") == 5
    assert page.tags.count("h1") == 1
    for said in (
        "Valid: the machine kept up",
        "3 of 3 subscribers came back after the reboot, half of them within 18.3 ms, the last after 400 ms.",
        "The concentrator sent 3 leasequeries and repeated 0.",
        "probes.interval",
        "mean time between two probes of one host in one direction, in seconds",
        "lq run reboot --set probes.interval=0.1",
        "6.18.44",
        "0123456789ab",
        "1.5 /s",
        "250 ms",
    ):
        assert said in page.text, said
    assert str(plain.directory.parent) not in page.text  # no path of this machine


def test_figures_and_tables_are_accessible(page):
    figures = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")]
    assert len(figures) == 5
    assert figures[0].startswith("Recovery: share of the subscribers that are reachable")
    assert "Recovery after a reboot of the concentrator: 3 subscribers." in figures[0]
    assert page.tags.count("caption") == page.tags.count("table") == 3
    assert set(page.values("scope")) == {"col", "row"}
    headings = [int(tag[1]) for tag in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert headings[0] == 1
    assert set(headings[1:]) == {3}


def test_the_same_run_gives_the_same_report(plain):
    assert reports.made([plain.directory]) == reports.made([plain.directory])


def test_a_run_that_is_not_valid_says_why(tmp_path):
    broken = finished(tmp_path / "broken", valid=False, numbers={"verdict": "the claim does not hold"})
    page = page_of(broken.directory)
    assert "Not valid: do not publish these figures." in page.text
    assert REASON in page.text
    assert "The claim does not hold." in page.text
    assert "Valid: the machine" not in page.text


def test_phases_have_a_table(tmp_path):
    page = page_of(finished(tmp_path / "two", phases=TWO).directory)
    assert "Phases in order" in page.text
    assert "takeover at" in page.text


def test_several_runs_have_a_section_each_and_a_list_on_top(tmp_path, plain):
    other = finished(tmp_path / "other", topology__figure="dsl")
    page = page_of(plain.directory, other.directory)
    assert page.values("href")[:2] == ["#run-1", "#run-2"]
    assert {"run-1", "run-2"} <= set(page.values("id"))
    assert page.tags.count("h1") == 1
    assert "2. reboot on dsl, 3 subscribers" in page.text


def test_identifiers_of_several_figures_do_not_collide(tmp_path, plain):
    twin = finished(tmp_path / "plain", resent=1)  # the same data, name and all
    page = page_of(plain.directory, twin.directory)
    ids = page.values("id")
    assert len(ids) > 100
    assert len(set(ids)) == len(ids)
    styles = " ".join(value for _, _, value in page.attributes)
    used = set(re.findall(r"url\(#([^)]*)\)", styles)) | {value[1:] for value in page.values("href")}
    assert len(used) > 20
    assert used <= set(ids)


# -- where it goes


def test_a_report_is_written_into_the_run_or_where_one_says(tmp_path, monkeypatch):
    run = finished(tmp_path / "run")
    assert reports.write([run.directory]) == run.directory / "report.html"
    assert (
        reports.write([run.directory], tmp_path / "mine.html").read_bytes()
        == (run.directory / "report.html").read_bytes()
    )
    other = finished(tmp_path / "other")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["report", str(run.directory), str(other.directory)])
    assert done.output == "report.html\n"
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_nothing_is_written_where_a_run_cannot_be_used(tmp_path, plain):
    broken = finished(tmp_path / "broken")
    (broken.directory / "manifest.json").write_bytes(b"[]")
    with pytest.raises(BadInput, match=r"manifest\.json"):
        reports.write([plain.directory, broken.directory], tmp_path / "report.html")
    with pytest.raises(BadInput, match="not the directory of a finished run"):
        reports.write([tmp_path / "missing"], tmp_path / "report.html")
    with pytest.raises(BadInput, match="cannot write"):
        reports.write([plain.directory], tmp_path / "missing" / "report.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken"]


def test_a_report_is_not_written_through_a_link(tmp_path):
    run = finished(tmp_path / "run")
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (run.directory / "report.html").symlink_to(precious)
    reports.write([run.directory])
    assert precious.read_text() == "precious"
    assert not (run.directory / "report.html").is_symlink()


def test_too_many_runs_or_none_are_refused(tmp_path):
    for directories in ([], [tmp_path] * 101):
        with pytest.raises(BadInput, match="1 to 100"):
            reports.write(directories, tmp_path / "report.html")


# -- how to repeat it


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_command_of_a_default_run_is_its_scenario(scenario):
    assert specification.command(load(scenario, {})) == f"lq run {scenario}"


@pytest.mark.parametrize(
    ("scenario", "settings"),
    [
        ("hijack", {"hijack.defences": False}),
        ("hijack", {"hijack.defences": False, "concentrator.moves": "never"}),
        ("dos", {"topology.figure": "dsl", "topology.intermediate_agent": True, "attack.addresses": None}),
        ("reboot", {"topology.access_node": "0x1f", "topology.figure": "dsl", "seed": 7, "wan.rate": 1e6}),
        ("reboot", {"topology.access_node": "it's; rm -rf".replace(" ", "_"), "wan.delay": 1e-05}),
        ("failover", {"capture.nodes": ["host1", "server"], "server.lease_time": 120}),
        ("arp", {"topology.modems": None, "topology.hosts_per_modem": 4}),
        ("reboot", {"concentrator.trusted_circuits": ["17", "2.17", "all"]}),
        ("reboot", {"server.kind": "dhcpd", "controller.framework": "os-ken", "topology.modems": 9}),
    ],
)
def test_the_command_gives_the_same_specification(monkeypatch, scenario, settings):
    spec = load(scenario, settings)
    played = []

    def play(spec, *_, **__):
        played.append(spec)
        raise BadInput("seen")

    monkeypatch.setattr(running, "run", play)
    command = shlex.split(specification.command(spec))
    assert command[0] == "lq"
    CliRunner().invoke(app, command[1:])
    assert played == [spec]
    assert len(command) <= 3 + 2 * len(settings)


def test_the_yaml_gives_the_same_specification(tmp_path, plain):
    page = Page(reports.made([plain.directory]).decode())
    yaml = page.text[page.text.index("scenario: reboot") :].partition("Made by")[0]
    (tmp_path / "spec.yaml").write_text(yaml)
    assert load(str(tmp_path / "spec.yaml"), {}) == plain.spec


# -- sweeps

GRID = Sweep("reboot", {"topology.modems": 3, "topology.hosts_per_modem": 1, "probes.interval": 0.1},
             {"wan.delay": [0, 0.02], "concentrator.window": [1, 100]}, 2)  # fmt: skip


@pytest.fixture(scope="module")
def a_sweep(tmp_path_factory, plain):
    return swept(tmp_path_factory.mktemp("sweeps") / "grid", GRID, plain)


def test_a_sweep_has_a_report(a_sweep):
    page = Page(reports.write([a_sweep.directory]).read_text())
    for said in (
        "sweep of reboot, 8 runs",
        "8 runs have finished: 4 points of a grid over 2 settings, 2 repeats at most.",
        "wan.delay is 0, 0.02",
        "Medians of the repeats",
        "lq sweep reboot --grid wan.delay=0.0,0.02 --grid concentrator.window=1,100",
        "--repeat 2 --out runs/grid",
    ):
        assert said in page.text, said
    assert page.tags.count("svg") >= 5
    assert str(a_sweep.directory.parent) not in page.text


def test_the_command_of_a_sweep_goes_on_with_it(monkeypatch, a_sweep):
    page = Page(reports.made([a_sweep.directory]).decode())
    command = page.text[page.text.index("lq sweep") :].partition("Made by")[0]
    seen = []

    def play(what, *_, **__):
        seen.append(what)
        raise BadInput("seen")

    monkeypatch.setattr(sweeping, "sweep", play)
    CliRunner().invoke(app, shlex.split(command)[1:])
    (what,) = seen
    assert not holds_another(what, a_sweep.directory)


def test_a_sweep_of_which_a_point_is_missing_names_its_files(tmp_path, plain):
    done = swept(tmp_path / "grid", GRID, plain)
    for number in (2, 4):
        for repeat in (1, 2):
            (done.directory / "runs" / f"000{number}-{repeat}" / "summary.json").unlink()
    sweeping._write_table(done.directory, GRID.points())
    page = Page(reports.made([done.directory]).decode())
    assert "4 runs have finished" in page.text
    assert "sweep.yaml names every run" in page.text  # no command can name the window of 100 queries


# -- words


@pytest.mark.parametrize(
    ("key", "found", "said"),
    [
        ("recovery_p50_s", 0.0183, "18.3 ms"), ("outage_s", 2.5, "2.5 s"), ("server_cpu_s", 0.0, "0 s"),
        ("queries_per_s", 1.234, "1.23 /s"), ("probes_lost_share", 0.25, "25 %"),
        ("server_load", 0.5, "50 % of a core"), ("server_memory_max", 3 << 20, "3.0 MiB"),
        ("queries_sent", 12345, "12,345"), ("seed", 12345, "12345"), ("recovered", None, "-"),
        ("claim_holds", True, "yes"), ("queries_per_address", 1.0, "1"), ("x", "a\x1b\nb", "a\\x1b b"),
    ],
)  # fmt: skip
def test_values_have_one_style_of_units(key, found, said):
    assert words.value(key, found) == said


def test_names_of_keys_have_no_units_and_no_underscores(plain):
    for key in [*plain.summary, "leasequery_work_cpu_s", "undefended_inside_queries"]:
        name = words.name(key)
        assert "_" not in name
        assert "(s)" not in name
    assert words.name("leasequery_work_cpu_s").endswith("since the takeover, with leasequery")


def test_a_manifest_is_json_of_any_kind(tmp_path):
    run = finished(tmp_path / "odd", manifest={"versions": [1, {"a": None}], "seed": {"b": [2]}, "wan": 3.5})
    assert "Origin of the figures" in page_of(run.directory).text
    assert json.loads((run.directory / "manifest.json").read_text())["wan"] == 3.5
    assert files.exists(run.directory)
