"""The controller framework, made to run: Ryu as it was released, on current libraries, or os-ken.

os-ken is Ryu's maintained continuation with the same interface. Import this module before anything else
of the framework. It is the only one that knows which framework it is; `LQ_CONTROLLER_FRAMEWORK` in the
environment names it.

Under Ryu, eventlet makes the standard library cooperative, and a task runs until it waits. os-ken has
real threads. Applications are written for threads and the standard library, which is right for both.
"""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable
from typing import Any

from controllers.settings import FRAMEWORKS

NAME = os.environ.get("LQ_CONTROLLER_FRAMEWORK", "ryu")
_PACKAGE = FRAMEWORKS[NAME]

warnings.filterwarnings("ignore")  # of Ryu's source under newer compilers, and of eventlet about itself


def module(path: str) -> Any:
    """Import a module of the framework by its path below the package."""
    return importlib.import_module(f"{_PACKAGE}.{path}")


def _prepare_ryu() -> None:
    """Give eventlet back what Ryu 4.34 imports from it, and make the standard library cooperative."""
    os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")  # no names are looked up; it starts sooner
    wsgi: Any = importlib.import_module("eventlet.wsgi")
    if not hasattr(wsgi, "ALREADY_HANDLED"):
        wsgi.ALREADY_HANDLED = object()
    importlib.import_module("eventlet").monkey_patch()


if NAME == "ryu":
    _prepare_ryu()

app_manager: Any = module("base.app_manager")
Application: type[Any] = getattr(app_manager, "RyuApp", None) or app_manager.OSKenApp
handler = module("controller.handler")
ofp_event = module("controller.ofp_event")
ofp = module("ofproto.ofproto_v1_3")
parser = module("ofproto.ofproto_v1_3_parser")
hub = module("lib.hub")


def run(application: str, listen: tuple[str, int]) -> None:
    """Run one application, given by its module's name, until the process ends."""
    cfg = module("cfg")
    module("controller.controller")  # defines the options set below
    cfg.CONF(args=[], project=_PACKAGE, default_config_files=[])
    cfg.CONF.set_override("ofp_listen_host", listen[0])
    cfg.CONF.set_override("ofp_tcp_listen_port", listen[1])
    app_manager.AppManager.run_apps([application])


def take_packet_ins(take: Callable[[bytearray], None]) -> None:
    """Have packet-ins handed over as octets, as they are received.

    The framework would parse each into objects, wrap it into an event, and queue that for another task:
    most of what a packet-in costs. The parser registered here hands it over, and reports no message.
    """

    def parse(_datapath: Any, _version: int, _kind: int, _length: int, _xid: int, octets: bytearray) -> None:
        take(octets)

    parser._MSG_PARSERS[ofp.OFPT_PACKET_IN] = parse


def receive_at_once(datapath: Any, before: Callable[[Any], None]) -> None:
    """Have the framework's receive loop read all that there is, and call `before(socket)` each time before.

    It reads each message in two parts, and is content with more than it asked for.
    """
    datapath.socket = _AtOnce(datapath.socket, before)


class _AtOnce:
    """A connected socket whose `recv` returns what there is, up to `SIZE`, whatever it was asked for."""

    SIZE = 16384

    def __init__(self, connection: Any, before: Callable[[Any], None]) -> None:
        self._connection = connection
        self._before = before

    def recv(self, _size: int) -> bytes:
        self._before(self._connection)
        octets: bytes = self._connection.recv(self.SIZE)
        return octets

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)
