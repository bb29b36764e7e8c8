"""The controller framework, made to run: Ryu as it was released, on current libraries.

Import this module before anything else of the framework. It is the only one that knows which
framework it is; `LQ_CONTROLLER_FRAMEWORK` in the environment names it.
"""

from __future__ import annotations

import importlib
import os
import warnings
from typing import Any

FRAMEWORKS = {"ryu": "ryu"}
NAME = os.environ.get("LQ_CONTROLLER_FRAMEWORK", "ryu")
_PACKAGE = FRAMEWORKS[NAME]

warnings.filterwarnings("ignore")  # of Ryu's source under newer compilers, and of eventlet about itself


def _prepare_ryu() -> None:
    """Give eventlet back what Ryu 4.34 imports from it, and make the standard library cooperative."""
    os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")  # no names are looked up; it starts sooner
    wsgi: Any = importlib.import_module("eventlet.wsgi")
    if not hasattr(wsgi, "ALREADY_HANDLED"):
        wsgi.ALREADY_HANDLED = object()
    importlib.import_module("eventlet").monkey_patch()


def module(path: str) -> Any:
    """Import a module of the framework by its path below the package."""
    return importlib.import_module(f"{_PACKAGE}.{path}")


if NAME == "ryu":
    _prepare_ryu()

app_manager = module("base.app_manager")
handler = module("controller.handler")
ofp_event = module("controller.ofp_event")
ofp = module("ofproto.ofproto_v1_3")
parser = module("ofproto.ofproto_v1_3_parser")
hub = module("lib.hub")


def run(application: str, listen: tuple[str, int]) -> None:
    """Run one application, given by its module's name, until the process ends."""
    cfg = module("cfg")
    module("controller.controller")  # defines the options set below
    cfg.CONF(args=[], project=NAME, default_config_files=[])
    cfg.CONF.set_override("ofp_listen_host", listen[0])
    cfg.CONF.set_override("ofp_tcp_listen_port", listen[1])
    app_manager.AppManager.run_apps([application])
