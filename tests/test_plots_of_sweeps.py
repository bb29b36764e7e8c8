"""Figures of sweeps against the tables they are drawn from."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from lq import plots
from lq.cli import app
from lq.errors import BadInput
from lq.plots import sweeps
from lq.plots.labels import label, setting_name
from lq.plots.runs import NOBODY
from tests.written import END, INTERVAL, OUTAGE, write_run


@pytest.fixture
def table():
    """Three delays, two windows, seven repeats; the value is known for each."""
    rows = []
    for point, (delay, window) in enumerate(itertools.product([0.0, 0.02, 0.1], [1, 100]), start=1):
        for repeat in range(1, 8):
            rows.append(
                {"point": point, "repeat": repeat, "wan.delay": delay, "concentrator.window": window,
                 "scenario": "reboot", "recovery_p50_s": delay * 10 + window / 100 + repeat / 1000,
                 "recovery_max_s": 1.0, "queries_sent": 5, "queries_per_address": 1.0,
                 "valid": (point, repeat) != (6, 3)}
            )  # fmt: skip
    return pd.DataFrame(rows)


def test_lines_are_medians_with_their_intervals(table):
    axes = plots.medians(table, "wan.delay", "recovery_p50_s", by="concentrator.window").axes[0]
    lines = [line for line in axes.lines if line.get_linestyle() != "None"]
    np.testing.assert_allclose(lines[0].get_ydata(), [0.014, 0.214, 1.014])
    np.testing.assert_allclose(lines[1].get_ydata(), [1.004, 1.204, 2.004])
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(0.011)  # of seven values, the first
    marks = [line for line in axes.lines if line.get_linestyle() == "None" and len(line.get_xdata())]
    assert [(list(m.get_xdata()), m.get_marker()) for m in marks] == [([0.1], "x")]
    assert "95 %" in axes.get_title(loc="left")
    assert any("not valid" in text.get_text() for text in axes.texts)
    assert axes.get_xlabel() == "delay of the WAN, each way (s)"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["1", "100"]


def test_a_heat_map_has_a_number_in_every_cell(table):
    figure = plots.heat_map(table, "wan.delay", "concentrator.window", "recovery_p50_s")
    texts = {(t.get_position(), t.get_text()) for t in figure.axes[0].texts if t.get_gid() is None}
    assert ((0, 0), "0.014") in texts
    assert ((2, 1), "\N{MULTIPLICATION X} 2") in texts
    assert len(texts) == 6
    assert figure.axes[1].get_ylabel() == label("recovery_p50_s")


def test_a_logarithmic_heat_map_bears_zeros_and_gaps(table):
    table.loc[table["point"] == 1, "recovery_p50_s"] = 0.0
    table.loc[table["point"] == 2, "recovery_p50_s"] = np.nan
    figure = plots.heat_map(table, "wan.delay", "concentrator.window", "recovery_p50_s", log=True)
    assert isinstance(figure, Figure)
    assert {"0", "-"} <= {text.get_text() for text in figure.axes[0].texts}


def test_a_sweep_gets_figures_for_its_grid(table, tmp_path):
    table.to_parquet(tmp_path / "table.parquet")
    names = {path.name for path in plots.save_sweep(tmp_path)}
    assert {"recovery_p50_s.png", "recovery_p50_s.svg", "heat.png"} <= names
    assert all((tmp_path / "figures" / name).stat().st_size > 1000 for name in names)


def sweep_of(grid, scenario="reboot", repeats=1, **values):
    """Return a table with a row for each combination and repeat; `values` are functions of the settings."""
    rows = []
    for point, chosen in enumerate(itertools.product(*grid.values()), start=1):
        settings = dict(zip(grid, chosen, strict=True))
        for repeat in range(1, repeats + 1):
            found = {name: value(settings) for name, value in values.items()}
            row = {"point": point, "repeat": repeat, **settings, "scenario": scenario, **found, "valid": True}
            rows.append(row)
    return pd.DataFrame(rows)


DEFENDED = {
    "concentrator.negative_cache": [True, False],
    "attack.rate": [200, 500],
    "concentrator.ciaddr_restriction": [True, False],
}


def load_of(settings):
    """Each defence halves the load."""
    on = settings["concentrator.negative_cache"] + settings["concentrator.ciaddr_restriction"]
    return settings["attack.rate"] / 1000 / 2**on


def drawn(axes):
    """Return what each line with a name shows."""
    lines = [line for line in axes.lines if not line.get_label().startswith("_")]
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in lines}


@pytest.fixture
def figures_of(monkeypatch, tmp_path):
    """Return a function that draws a sweep's figures, and returns their axes by name."""

    def figures_of(table):
        table.to_parquet(tmp_path / "table.parquet")
        found = {}
        monkeypatch.setattr(
            sweeps.figures,
            "save",
            lambda made, _: found.update({name: figure.axes[0] for name, figure in made.items()}),
        )
        plots.save_sweep(tmp_path)
        return found

    return figures_of


def test_the_load_under_attack_has_a_curve_for_each_set_of_defences(figures_of):
    """The order of the grid's keys does not matter, and true and false are no numbers."""
    found = figures_of(
        sweep_of(DEFENDED, "dos", server_load=load_of, controller_load=load_of, queries_per_s=load_of)
    )
    assert set(found) == {"server_load", "controller_load", "queries_per_s"}
    axes = found["server_load"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "attack (packets/s)",
        "load of the DHCP server (share of a core)",
    )
    assert drawn(axes) == {
        "all: restriction and negative cache": ([200, 500], [0.05, 0.125]),
        "negative cache": ([200, 500], [0.1, 0.25]),
        "restriction": ([200, 500], [0.1, 0.25]),
        "defences off": ([200, 500], [0.2, 0.5]),
    }


def test_the_rate_of_an_attack_goes_before_other_numbers(figures_of):
    grid = {"attack.addresses": [10, 100], "attack.rate": [1, 2]}
    found = figures_of(sweep_of(grid, "dos", server_load=lambda settings: settings["attack.rate"]))
    assert set(drawn(found["server_load"])) == {"10", "100"}
    assert found["server_load"].get_legend().get_title().get_text() == "addresses attacked"
    assert found["heat"].get_xlabel() == "attack (packets/s)"


def test_no_two_points_are_taken_for_repeats():
    grid = {"wan.delay": [0, 0.1], "concentrator.window": [1, 100], "server.kind": ["builtin", "dhcpd"]}
    table = sweep_of(grid, recovery_p50_s=lambda settings: settings["concentrator.window"])
    axes = plots.medians(table, "wan.delay", "recovery_p50_s").axes[0]
    assert drawn(axes) == {
        f"window {window} queries, server {server}": ([0, 0.1], [window, window])
        for window in (1, 100)
        for server in ("builtin", "dhcpd")
    }
    both = plots.medians(table, "wan.delay", "recovery_p50_s", by=["server.kind", "concentrator.window"])
    assert len(drawn(both.axes[0])) == 4
    with pytest.raises(ValueError, match=r"also differ in server\.kind"):
        plots.medians(table, "wan.delay", "recovery_p50_s", by="concentrator.window")
    with pytest.raises(ValueError, match=r"also differ in server\.kind"):
        plots.heat_map(table, "wan.delay", "concentrator.window", "recovery_p50_s")
    with pytest.raises(ValueError, match=r"also differ in wan\.delay, concentrator\.window"):
        plots.categories(table, "recovery_p50_s", by="server.kind")


def test_a_column_of_ones_own_may_name_the_lines():
    table = sweep_of(DEFENDED, "dos", server_load=load_of)
    keys = ["concentrator.negative_cache", "concentrator.ciaddr_restriction"]
    table["how many"] = table[keys].sum(axis=1)
    table["defences"] = [
        f"{cache} {restriction}" for cache, restriction in table[keys].itertuples(index=False)
    ]
    assert len(drawn(plots.medians(table, "attack.rate", "server_load", by="defences").axes[0])) == 4
    with pytest.raises(ValueError, match="differ in"):
        plots.medians(table, "attack.rate", "server_load", by="how many")


def test_a_long_legend_stands_below_the_axes():
    table = sweep_of({"wan.delay": [0, 1], "concentrator.window": [1, 2, 3, 4, 5]}, y=lambda _: 1.0)
    figure = plots.medians(table, "wan.delay", "y")
    assert figure.axes[0].get_legend() is None
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["1", "2", "3", "4", "5"]


def test_without_numbers_there_are_bars_for_each_category(figures_of):
    table = sweep_of({"server.kind": ["builtin", "dhcpd", "dnsmasq"]}, repeats=3, queries_sent=lambda _: 1.0)
    table["recovery_p50_s"] = [1.0, 2.0, 6.0, 4.0, 5.0, 9.0, None, None, None]
    table.loc[5, "valid"] = False
    found = figures_of(table)
    assert set(found) == {"recovery_p50_s", "queries_sent"}
    axes = found["recovery_p50_s"]
    assert [bar.get_width() for bar in axes.patches] == [2.0, 5.0, 0.0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["builtin", "dhcpd", "dnsmasq"]
    assert axes.get_ylabel() == "server"
    dots = {
        (x, y)
        for line in axes.lines
        if line.get_marker() == "o"
        for x, y in zip(*line.get_data(), strict=True)
    }
    assert dots == {(1, 0), (2, 0), (6, 0), (4, 1), (5, 1)}
    assert [
        line.get_xdata() for line in axes.lines if line.get_marker() == "x" and len(line.get_xdata())
    ] == [[9]]
    assert [text.get_text() for text in axes.texts if text.get_gid() is None] == [" none"]


def test_switches_alone_are_categories(figures_of):
    grid = {key: values for key, values in DEFENDED.items() if key != "attack.rate"}
    found = figures_of(
        sweep_of(grid, "dos", server_load=lambda settings: load_of({**settings, "attack.rate": 8}))
    )
    names = [text.get_text() for text in found["server_load"].get_yticklabels()]
    assert names == ["all: restriction and negative cache", "negative cache", "restriction", "defences off"]


def test_a_grid_of_one_point_has_a_bar(figures_of):
    found = figures_of(sweep_of({"wan.delay": [0.1], "seed": [1, 2]}, queries_sent=lambda _: 3))
    assert [bar.get_width() for bar in found["queries_sent"].patches] == [3]


def test_two_numbers_and_more_have_a_heat_map_for_each_of_the_rest(figures_of):
    grid = {"wan.delay": [0, 0.1], "concentrator.window": [1, 100], "server.kind": ["builtin", "dhcpd"]}
    found = figures_of(
        sweep_of(grid, recovery_p50_s=lambda settings: 1 + (settings["server.kind"] == "dhcpd"))
    )
    for name, number, server in (("heat-1", "1", "server builtin"), ("heat-2", "2", "server dhcpd")):
        assert {text.get_text() for text in found[name].texts} == {number}
        assert found[name].get_figure().get_suptitle() == server


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("wan.delay", 0.02, "delay of the WAN 0.02 s"),
        ("attack.rate", 2000, "attack 2,000 packets/s"),
        ("concentrator.negative_cache", False, "negative cache off"),
        ("server.kind", "dhcpd", "server dhcpd"),
        ("topology.modems", np.int64(5), "modems 5"),
        ("attack.addresses", np.nan, "addresses attacked none"),
        ("backoff.late", 3.0, "backoff.late 3"),
    ],
)
def test_settings_are_named_with_their_units(key, value, name):
    assert setting_name(key, value) == name


def test_a_sweep_of_which_nothing_has_finished_says_so(tmp_path):
    pd.DataFrame([]).to_parquet(tmp_path / "table.parquet")
    done = CliRunner().invoke(app, ["plot", str(tmp_path)])
    assert isinstance(done.exception, BadInput)
    assert str(done.exception) == f"no run of the sweep {tmp_path} has finished: see {tmp_path / 'failed'}"


# -- recovery curves of repeated runs


def test_recovery_bands_are_the_median_and_the_range_of_the_runs(tmp_path):
    runs = [write_run(tmp_path / str(number), back=[0.2 * number, 0.9]) for number in range(1, 4)]
    axes = plots.recovery_bands(
        {"quick": runs, "slow": [write_run(tmp_path / "slow", back=[1.0, 2.0])]}
    ).axes[0]
    quick, slow = axes.lines
    assert (quick.get_label(), slow.get_label()) == ("quick", "slow")
    assert height(quick, 0.3) == 0.0  # one run of three
    assert height(quick, 0.5) == height(slow, 1.5) == 0.5
    assert height(quick, 1.0) == height(slow, 2.2) == 1.0
    band = axes.collections[0].get_paths()[0].vertices
    at = band[np.isclose(band[:, 0], band[np.abs(band[:, 0] - 0.3).argmin(), 0])]
    assert (at[:, 1].min(), at[:, 1].max()) == (0.0, 0.5)
    assert axes.get_xlim()[1] == pytest.approx(1.25 * 2.0, rel=0.05)


def test_recovery_bands_bear_who_stays_away_and_who_is_not_probed(tmp_path):
    away = write_run(tmp_path / "away", back=[0.1, np.inf], valid=False)
    silent = write_run(tmp_path / "silent", back=[0.1])
    probes = silent.table("probes")
    probes[probes["due"] < 0].to_parquet(silent.directory / "probes.parquet")
    axes = plots.recovery_bands({"away": [away], "silent": [silent]}).axes[0]
    (line,) = axes.lines
    assert line.get_label() == "away \N{MULTIPLICATION X}"
    assert axes.get_xlim()[1] == pytest.approx(END - OUTAGE, abs=2 * INTERVAL)
    alone = plots.recovery_bands({"silent": [silent]}).axes[0]
    assert not alone.lines
    assert NOBODY in [text.get_text() for text in alone.texts]


def test_a_sweep_of_reboots_has_its_recovery_curves(figures_of, tmp_path):
    """Eight points are too many for one figure, and four in each of two share the delay."""
    grid = {"wan.delay": [0.0, 0.1], "concentrator.window": [1, 10, 50, 100]}
    table = sweep_of(grid, repeats=2, recovery_p50_s=lambda _: 0.1)
    table["run_dir"] = [f"{row.point}-{row.repeat}" for row in table.itertuples()]
    for name in table["run_dir"]:
        write_run(tmp_path / name, back=[0.1, 0.3])
    found = figures_of(table)
    assert {"recovery-1", "recovery-2"} <= set(found)
    assert set(drawn(found["recovery-1"])) == {f"window {window} queries" for window in (1, 10, 50, 100)}
    titles = [found[f"recovery-{number}"].get_figure().get_suptitle() for number in (1, 2)]
    assert titles == ["delay of the WAN 0 s", "delay of the WAN 0.1 s"]


def height(line, moment):
    """Return what a line of steps is at a moment."""
    return line.get_ydata()[np.searchsorted(line.get_xdata(), moment, side="right") - 1]
