"""A run whose controller failed, or died by itself, is not valid and says why: faults put in on purpose.

Python imports `sitecustomize` from the path before anything else: there the controller is made to fail.
"""

from __future__ import annotations

import pytest

from lq.experiments.run import run
from lq.experiments.spec import load
from lq.results import validity

pytestmark = pytest.mark.lab

FAULT = """
import signal, sys

if "controllers" in sys.orig_argv:
    from lq.concentrator.engine import Concentrator

    downstream, failed = Concentrator._downstream, []

    def failing(self, event, now, out):
        if not failed and "controller-1" in sys.orig_argv[-1]:
            failed.append(event)
            {fault}
        downstream(self, event, now, out)

    Concentrator._downstream = failing
"""


def reasons(tmp_path, monkeypatch, fault):
    """Why a run is not valid whose second controller has this fault at its first packet."""
    (tmp_path / "sitecustomize.py").write_text(FAULT.format(fault=fault))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    finished = run(load("reboot", {"reboot.settle": 3}), tmp_path / "run")
    assert finished.summary["recovered"] == 3, "the run goes on"
    assert finished.summary["valid"] is False
    assert finished.manifest["fidelity"]["reasons"] == finished.summary["invalid_reasons"]
    return finished.summary["invalid_reasons"]


def test_an_exception_makes_a_run_not_valid(tmp_path, monkeypatch):
    found = reasons(tmp_path, monkeypatch, 'raise RuntimeError("put in")')
    assert "controller-1 failed 1 times: RuntimeError: put in, of a packet from the switch" in found


def test_a_controller_that_dies_by_itself_makes_a_run_not_valid(tmp_path, monkeypatch):
    found = reasons(tmp_path, monkeypatch, "signal.setitimer(signal.ITIMER_REAL, 1.0)")
    assert any(reason.startswith("controller-1 ended by itself (exit status -14)") for reason in found)


def test_what_the_switch_refused_makes_a_run_not_valid():
    fault = {
        "exceptions": 0,
        "exception": None,
        "switch_errors": 2,
        "switch_error": "OpenFlow error of type 4",
    }
    (reason,) = validity.controller_reasons([{**fault, "switch_errors": 0}, fault], [])
    assert reason == "the switch refused 2 messages of controller-1: OpenFlow error of type 4"
