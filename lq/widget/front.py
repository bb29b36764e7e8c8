"""The widget's end in Python: what the page shows, and its button. The other end is `front.js`.

anywidget carries it: a page's own code is needed to see that the kernel has gone, and for nothing more.
"""

from __future__ import annotations

import functools
import importlib
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

VIEW = "application/vnd.jupyter.widget-view+json"
PATIENCE = 5.0  # seconds without news after which a page calls what it shows old, at least
MOST_ENDED = 8  # ended views that stay on the page as they were; of older ones their still pictures do
_ended: deque[Any] = deque()
_ROUTE = "_reply_subshell_for"
_HERE = Path(__file__).parent

BESIDE = (
    # JupyterLab shows either the live view or the still picture before it: this one if it lives, else that.
    "<style class='lq-beside'>"
    ".jp-OutputArea-child:has(> .jp-OutputArea-output > .lq-beside) {display: none}"
    ".jp-OutputArea-child:has(> .jp-OutputArea-output > .lq-beside)"
    " + .jp-OutputArea-child:has(+ .jp-OutputArea-child .lq-live) {display: none}"
    ".jp-OutputArea-child:has(> .jp-OutputArea-output > .lq-beside)"
    " + .jp-OutputArea-child + .jp-OutputArea-child:has(> .lm-Panel):not(:has(.lq-live)) {display: none}"
    "</style>"
)
"""Goes before both: without a kernel there is no live view, and an error of the page's in its place."""


def make(content: str, patience: float, button: str, pressed: Callable[[], None]) -> Any:
    """Return a front that shows this HTML, or None where there are no widgets.

    After `patience` seconds without a beat it calls itself old. `button` is its name, empty for none.
    """
    try:
        kind = _kind()
    except ImportError:
        return None
    front = kind(content=content, patience=patience, button=button)
    if hasattr(front.comm, _ROUTE):
        # A page sends to a thread of its own, so that a click does not wait for the cell that runs. ipykernel
        # would send it to the thread that has written last.
        setattr(front.comm, _ROUTE, lambda _data, chosen: chosen)
    front.on_msg(lambda _widget, message, _buffers: pressed() if message == {"press": True} else None)
    return front


@functools.cache
def _kind() -> Any:
    importlib.import_module("ipywidgets")
    anywidget, traitlets = importlib.import_module("anywidget"), importlib.import_module("traitlets")
    synced: dict[str, Any] = {
        name: traitlets.Unicode().tag(sync=True)
        for name in ("content", "button", "message", "notice", "ended", "spoken")
    }
    synced["beat"] = traitlets.Int().tag(sync=True)
    synced["width"] = traitlets.Int().tag(sync=True)  # pixels that the page has for it; 0: not known
    synced["busy"] = traitlets.Bool().tag(sync=True)
    synced["patience"] = traitlets.Float(PATIENCE).tag(sync=True)
    own = {"_esm": (_HERE / "front.js").read_text(), "_css": (_HERE / "front.css").read_text()}
    return type("Front", (anywidget.AnyWidget,), {**synced, **own, "__module__": __name__})


def end(front: Any, why: str) -> None:
    """Have the page say why nothing more comes. The last MOST_ENDED stay as they are; older ones go."""
    if front is None or front.ended:
        return
    front.ended = why
    _ended.append(front)
    while len(_ended) > MOST_ENDED:
        _ended.popleft().close()


def bundle(front: Any) -> dict[str, Any]:
    """Return what a notebook shows the live view by."""
    return {VIEW: {"version_major": 2, "version_minor": 0, "model_id": front.model_id}}
