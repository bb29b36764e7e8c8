"""A program in a sealed lab that is asked for the values of expressions."""

from __future__ import annotations

import contextlib

from lq.sandbox.sealed_lab import SealedLab


@contextlib.contextmanager
def evaluating(program, tmp_path, monkeypatch):
    """Run a program that evaluates what it is sent; give the function that asks it."""
    (tmp_path / "evaluating_program.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with SealedLab("evaluating_program", log=tmp_path / "log") as lab:

        def ask(expression: str):
            lab.channel.send({"expression": expression})
            message = lab.channel.receive()
            assert message is not None, (tmp_path / "log").read_text()
            return message["value"]

        yield ask
