"""The live network in a notebook: a picture with a reboot button, and tables; still ones without a kernel."""

from lq.widget.live_picture import NetworkWidget, snapshot
from lq.widget.table import TableWidget
from lq.widget.view import View

__all__ = ["NetworkWidget", "TableWidget", "View", "snapshot"]
