"""Figures from finished runs and sweeps. Nothing is computed here that a table does not hold.

Each function returns a figure, which a notebook shows; `save` and `save_sweep` write PNG and SVG.
"""

from lq.plots.adversaries import attack_matrix, lease_curve
from lq.plots.runs import (
    delivered_share,
    of_run,
    packet_rate,
    query_rate,
    reachable,
    recovery_curve,
    save,
)
from lq.plots.sequence import sequence_chart
from lq.plots.sweeps import categories, heat_map, medians, of_sweep, recovery_bands, save_sweep, sweep_table

__all__ = [
    "attack_matrix",
    "categories",
    "delivered_share",
    "heat_map",
    "lease_curve",
    "medians",
    "of_run",
    "of_sweep",
    "packet_rate",
    "query_rate",
    "reachable",
    "recovery_bands",
    "recovery_curve",
    "save",
    "save_sweep",
    "sequence_chart",
    "sweep_table",
]
