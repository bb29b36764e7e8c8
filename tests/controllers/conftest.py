"""The fixture of the tests that have the bridge and its controller alone, and make the frames themselves."""

from __future__ import annotations

import contextlib
import json

import pytest

from lq.sandbox.sealed_lab import SealedLab


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    """Return a function that starts a rig with these fields of `Settings`, and returns one to act in it."""
    with contextlib.ExitStack() as labs:

        def start(**fields):
            log = tmp_path_factory.mktemp("rig") / "log"
            inside = labs.enter_context(SealedLab("tests.controllers.rig", [json.dumps(fields)], log=log))
            assert inside.channel.receive() == {"up": True}, log.read_text()

            def act(what: str, *arguments):
                inside.channel.send({"do": what, "with": arguments})
                message = inside.channel.receive()
                assert message is not None, log.read_text()
                return message["value"]

            return act

        yield start
