"""One of a live lab's tables, refreshed."""

from __future__ import annotations

from html import escape
from typing import Any

import pandas as pd

from lq.widget.view import View
from lq.widget.watched import WatchedNetwork

MOST_ROWS = 64  # shown; all are counted


class TableWidget(View):
    """What `Lab.watch` returns."""

    def __init__(self, lab: WatchedNetwork, what: str, every: float) -> None:
        self._what = what
        super().__init__(lab, every)

    def _look(self, lab: WatchedNetwork) -> None:
        frame: pd.DataFrame = getattr(lab, self._what)()
        self._frame = frame

    def _content(self) -> str:
        table: str = self._frame.to_html(
            index=False, border=0, max_rows=MOST_ROWS, show_dimensions=len(self._frame) > MOST_ROWS,
            float_format="{:.1f}".format, na_rep="", justify="left",
        )  # fmt: skip
        name = f"<b>{escape(self._what)}</b>"
        beside = f'<div style="display: inline-block">{table}</div>'
        return f'<div class="jp-RenderedHTMLCommon" style="overflow-x: auto">{name}<br>{beside}</div>'

    def _still(self, note: str) -> dict[str, Any]:
        plain = self._frame.to_string(index=False, max_rows=MOST_ROWS)
        note = note.replace("still picture", "still table")
        return {
            "text/html": f"{self._content()}<p>{escape(note)}</p>",
            "text/plain": f"{self._what}\n{plain}\n({note})",
        }

    def _essence(self) -> Any:
        steady = self._frame.select_dtypes(exclude="number")
        return steady.astype(str).to_dict("list")
