"""Figures of sweeps against the tables they are drawn from."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lq import plots
from lq.plots.sweeps import label


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
    assert "not valid" in axes.get_title(loc="right")
    assert axes.get_xlabel() == "delay of the WAN, each way (s)"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["1", "100"]


def test_a_heat_map_has_a_number_in_every_cell(table):
    figure = plots.heat_map(table, "wan.delay", "concentrator.window", "recovery_p50_s")
    texts = {(text.get_position(), text.get_text()) for text in figure.axes[0].texts}
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


def test_a_sweep_without_numbers_has_no_axis_to_draw_against(table, tmp_path):
    table[["point", "repeat", "scenario", "valid"]].assign(scenario="reboot").to_parquet(
        tmp_path / "table.parquet"
    )
    assert plots.save_sweep(tmp_path) == []
