"""Figures against the data they are drawn from. The run directories are written here, number by number."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lq import plots
from lq.errors import BadInput
from lq.plots import sequence
from tests.written import ALONE, INTERVAL, OUTAGE, REASON, TWO, write_run


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "plain", back=[0.0, 0.2, 0.4, 0.9], resent=1)


def test_reachable_steps_at_each_return(run):
    curve = plots.reachable(run)
    returns = run.recovery.sort_values()
    assert list(curve) == [1.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert curve.index[1] == -OUTAGE
    assert list(curve.index[2:6]) == list(returns)
    assert returns.iloc[0] == pytest.approx(0.001)  # the probe due at the takeover, 1 ms under way


def test_the_curve_is_the_data(run):
    axes = plots.recovery_curve(run).axes[0]
    curve = plots.reachable(run)
    steps, marks = axes.lines
    np.testing.assert_array_equal(steps.get_xdata(), curve.index)
    np.testing.assert_array_equal(steps.get_ydata(), curve)
    assert steps.get_drawstyle() == "steps-post"
    np.testing.assert_array_equal(marks.get_xdata(), run.recovery.sort_values())
    assert axes.get_xlim()[1] > run.recovery.max()


def test_who_stays_away_is_not_drawn_as_back(tmp_path):
    lost = write_run(tmp_path / "lost", back=[0.1, np.inf, np.inf, np.inf])
    curve = plots.reachable(lost)
    assert curve.iloc[-1] == 0.25
    assert plots.recovery_curve(lost).axes[0].get_xlim()[1] == curve.index[-1]
    nobody = write_run(tmp_path / "nobody", back=[np.inf] * 4)
    assert list(plots.reachable(nobody)) == [1.0, 0.0, 0.0]


def test_two_runs_share_one_figure(run, tmp_path):
    without = write_run(tmp_path / "without", back=[np.inf] * 4)
    axes = plots.recovery_curve([run, without], labels=["with leasequery", "gleaning only"]).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["with leasequery", "gleaning only"]
    curves = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    assert len({line.get_color() for line in curves}) == 2
    assert len({line.get_linestyle() for line in curves}) == 2
    with pytest.raises(ValueError, match="one label for each"):
        plots.recovery_curve([run, without], labels=["one"])


def test_query_bars_add_up_to_the_queries(run):
    axes = plots.query_rate(run).axes[0]
    queries = run.table("queries")
    assert sum(bar.get_height() * bar.get_width() for bar in axes.patches) == pytest.approx(len(queries))
    first_labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert first_labels == ["first transmissions", "repeats"]
    occupied = [bar for bar in axes.patches if bar.get_height()]
    assert min(bar.get_x() for bar in occupied) <= 0 < max(bar.get_x() + bar.get_width() for bar in occupied)
    assert axes.get_title(loc="left") == "Leasequeries: 4 first transmissions, 1 repeats"


def test_no_query_is_said(tmp_path):
    figure = plots.query_rate(write_run(tmp_path / "none", back=[np.inf]))
    assert "no query was sent" in [text.get_text() for text in figure.axes[0].texts]


def test_packets_per_second(run):
    delivered, sent = plots.packet_rate(run).axes[0].lines
    np.testing.assert_allclose(sent.get_ydata(), 4 / INTERVAL)
    times = np.asarray(delivered.get_xdata())
    rate = np.asarray(delivered.get_ydata())
    np.testing.assert_allclose(rate[times < -OUTAGE - 1.5 * INTERVAL], 4 / INTERVAL)
    assert not rate[(times > -OUTAGE) & (times < -INTERVAL)].any()
    np.testing.assert_allclose(rate[times > 1], 4 / INTERVAL)


def test_the_delivered_share_is_that_of_the_table(run):
    (line,) = plots.delivered_share(run).axes[0].lines
    probes = run.table("probes")
    shares = np.asarray(line.get_ydata())
    assert shares.mean() == pytest.approx(probes["received"].notna().mean())  # all bins hold equally many
    assert shares[0] == shares[-1] == 1
    assert shares.min() == 0


def test_an_invalid_run_is_marked_on_every_figure(tmp_path, run):
    broken = write_run(tmp_path / "broken", back=[0.0, 0.2], valid=False)
    for draw in (plots.recovery_curve, plots.query_rate, plots.packet_rate, plots.delivered_share):
        texts = [text.get_text().replace("\n", " ") for text in draw(broken).axes[0].texts]
        assert "NOT VALID" in texts
        assert f"not valid: {REASON}" in texts
        assert not any("valid" in text.get_text().lower() for text in draw(run).axes[0].texts)
    axes = plots.recovery_curve([run, broken]).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["plain", "broken (not valid)"]


def test_axes_name_their_units(run):
    for draw in (plots.recovery_curve, plots.query_rate, plots.packet_rate, plots.delivered_share):
        axes = draw(run).axes[0]
        assert axes.get_xlabel().endswith("(s)")
        assert axes.get_ylabel()


def test_drawing_into_given_axes(run):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plots.recovery_curve(run, ax=left) is figure
    assert plots.query_rate(run, ax=right) is figure
    assert left.lines
    assert right.patches


def test_saved_files_are_the_same_each_time(run):
    files = plots.save(run)
    assert sorted(path.name for path in files) == sorted(
        f"{name}.{kind}"
        for name in ("recovery", "queries", "packets", "delivered", "sequence")
        for kind in ("png", "svg")
    )
    first = {path: path.read_bytes() for path in files}
    assert all(path.parent == run.directory / "figures" for path in files)
    plots.save(run)
    assert {path: path.read_bytes() for path in files} == first
    svg = (run.directory / "figures/recovery.svg").read_text()
    assert "<dc:date>" not in svg
    assert re.search(r"<text[^>]*>subscribers reachable</text>", svg)


def test_a_notebook_shows_the_figure(run):
    assert plots.recovery_curve(run)._repr_png_().startswith(b"\x89PNG")


def test_many_subscribers_have_no_marks(tmp_path):
    many = write_run(tmp_path / "many", back=list(np.linspace(0, 1, 150)))
    assert len(plots.recovery_curve(many).axes[0].lines) == 1


def test_the_sequence_chart_tells_who_sent_what_in_the_order_of_time(run):
    told = sequence.steps(run, subscribers=2)
    assert [step.at for step in told] == sorted(step.at for step in told)
    firsts = list(run.recovery.sort_values().index[:2])
    for name in firsts:
        own = [step.kind for step in told if step.label in (f"probe for {name}", f"to {name}")]
        assert own == ["probe", "probe"]
    assert sum(step.kind == "query" for step in told) == 3  # one of them sent again
    assert sum(step.kind == "active" for step in told) == 2
    texts = [text.get_text() for text in plots.sequence_chart(run, subscribers=2).axes[0].texts]
    assert all(step.label in texts for step in told)
    assert f"{told[0].at * 1000:.1f} ms" in texts


def test_a_sequence_chart_where_nobody_comes_back_says_so(tmp_path):
    lonely = write_run(tmp_path / "lonely", back=[np.nan])
    texts = [text.get_text() for text in plots.sequence_chart(lonely).axes[0].texts]
    assert "no subscriber came back" in texts


# -- several phases, or no reboot


def test_who_comes_back_in_the_second_phase_has_not_come_back_in_the_first(tmp_path):
    """A neighbour's thief had its packets until then, say."""
    robbed = write_run(tmp_path / "robbed", back=[0.1, 2.0, np.inf], phases=TWO)
    assert list(robbed.recovery.notna()) == [True, False, False]
    curve = plots.reachable(robbed)
    assert (curve.iloc[-1], curve.index[-1] + OUTAGE) == (
        pytest.approx(1 / 3),
        pytest.approx(3.0, abs=INTERVAL),
    )
    axes = plots.recovery_curve(robbed).axes[0]
    assert (
        axes.get_title(loc="left")
        == "Recovery after the first reboot (arp) of the concentrator: 3 subscribers"
    )


def test_the_sequence_chart_ends_with_the_first_phase(tmp_path):
    once = write_run(tmp_path / "once", back=[0.1, 0.2], phases=TWO)
    queries = once.table("queries")
    again = queries.assign(at=queries["at"] + 1.5, answered=queries["answered"] + 1.5)
    pd.concat([queries, again]).to_parquet(once.directory / "queries.parquet")
    told = sequence.steps(once)
    assert sum(step.kind == "query" for step in told) == 2
    assert max(step.at for step in told) < 3.0 - OUTAGE


def test_figures_over_time_name_each_phase_and_shade_each_outage(tmp_path):
    axes = plots.packet_rate(write_run(tmp_path / "two", back=[0.1], phases=TWO)).axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert {" arp", " leasequery", "grey: no controller for 2 s and 500 ms"} <= set(texts)
    assert [patch.get_x() for patch in axes.patches] == [-OUTAGE, 3.0 - OUTAGE]


def test_without_a_reboot_there_is_no_recovery_to_draw(tmp_path):
    alone = write_run(tmp_path / "alone", back=[0.1, 0.2], phases=ALONE, scenario="dos")
    assert not alone.rebooted
    assert alone.recovery.empty
    assert plots.reachable(alone).empty
    for draw in (plots.recovery_curve, plots.sequence_chart):
        with pytest.raises(BadInput, match="did not reboot"):
            draw(alone)
    assert {path.stem for path in plots.save(alone)} == {"queries", "packets", "delivered"}
    for draw in (plots.query_rate, plots.packet_rate, plots.delivered_share):
        axes = draw(alone).axes[0]
        assert axes.get_xlabel() == "time since the attack began (s)"
        assert not any("controller" in text.get_text() for text in axes.texts)


def test_where_nobody_is_probed_after_the_takeover_the_figures_say_so(tmp_path):
    early = write_run(tmp_path / "early", back=[0.1, 0.2])
    probes = early.table("probes")
    probes[probes["due"] < 0].to_parquet(early.directory / "probes.parquet")
    assert early.recovery.empty
    assert "no probe was sent to a subscriber after the takeover" in said(plots.recovery_curve(early))
    assert plots.save(early)
    probes.head(1).to_parquet(early.directory / "probes.parquet")
    assert plots.save(early)
    assert "1 probe in all" in said(plots.packet_rate(early))
    plain = write_run(tmp_path / "plain", back=[0.1])
    legend = plots.recovery_curve([early, plain]).axes[0].get_legend().get_texts()
    assert {text.get_text() for text in legend} == {"plain", "early (no probe since)"}


def test_each_server_has_a_lane_and_its_own_answers(tmp_path):
    """The first one is dead: it is asked, and silent."""
    both = write_run(tmp_path / "both", back=[0.1], server__count=2)
    queries = both.table("queries")
    dead = queries.assign(answered=np.nan, reply=None)
    pd.concat([dead, queries.assign(server="198.19.3.2")]).to_parquet(both.directory / "queries.parquet")
    told = [step for step in sequence.steps(both) if step.kind != "probe"]
    assert {(step.source, step.target) for step in told} == {
        ("concentrator", "198.19.1.2"),
        ("concentrator", "198.19.3.2"),
        ("198.19.3.2", "concentrator"),
    }
    titles = said(plots.sequence_chart(both))
    assert {"DHCP server\n198.19.1.2", "DHCP server\n198.19.3.2"} <= set(titles)


def said(figure):
    return [text.get_text() for text in figure.axes[0].texts]
