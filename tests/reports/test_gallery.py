"""The documentation's pictures and reports: what is made, and that nothing but valid runs is shown."""

from __future__ import annotations

import pytest

from lq.errors import BadInput, RunFailed
from lq.reports import gallery
from tests.reports.made import finished, swept
from tests.written import REASON


@pytest.fixture
def playing(monkeypatch):
    """Runs that are written and not run; those numbered `bad` are not valid. Return what was played."""
    played = []

    def play(bad):
        def run(spec, out):
            out.parent.mkdir(parents=True, exist_ok=True)
            settings = {"topology.modems": 4, "topology.hosts_per_modem": 2, "probes.interval": 0.1}
            done = finished(out, valid=len(played) not in bad, scenario=spec.scenario, **settings)
            (out / "spec.yaml").write_text(spec.model_dump_json())
            played.append(out.name)
            return done

        def sweep(what, directory, **_):
            source = finished(directory.with_name("source"))
            return swept(directory, what, source)

        monkeypatch.setattr(gallery, "run", run)
        monkeypatch.setattr(gallery, "sweep", sweep)

    play(())
    return play, played


def test_pictures_and_reports_are_made_of_valid_runs(tmp_path, playing):
    play, played = playing
    play({0})
    (tmp_path / "docs").mkdir()
    written = gallery.make(tmp_path / "docs", tmp_path / "runs")
    assert [str(path.relative_to(tmp_path / "docs")) for path in written] == [
        "gallery/recovery.svg",
        "gallery/sequence.svg",
        "gallery/scan.svg",
        "reports/reboot.html",
        "reports/dos-sweep.html",
    ]
    assert played == [
        "leasequery-1",
        "leasequery-2",
        "arp-1",
        "glean-only-1",
        "negative-cache-1",
        "without-1",
    ]
    for path in written:
        text = path.read_text()
        assert "valid: " not in text.replace("Valid: ", "")
        assert str(tmp_path) not in text
        assert len(text) < 1_000_000


def test_on_a_busy_machine_nothing_is_written(tmp_path, playing):
    play, played = playing
    play(set(range(100)))
    (tmp_path / "docs").mkdir()
    with pytest.raises(RunFailed, match=f"leasequery was not valid in 3 tries.*{REASON[:20]}"):
        gallery.make(tmp_path / "docs", tmp_path / "runs")
    assert played == ["leasequery-1", "leasequery-2", "leasequery-3"]
    assert list((tmp_path / "docs").iterdir()) == []


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(BadInput, match="is not a directory: name"):
        gallery.make(tmp_path / "missing", tmp_path)
