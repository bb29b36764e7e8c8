"""Fixtures that several folders share."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

import pytest
from hypothesis import settings

from lq.sandbox.sealed_lab import SealedLab

# Behind `nohup` and `&` they are ignored, and so they would be by all that the tests start.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

# No test bounds seconds. CI tries the same examples every time; elsewhere each run tries others.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Return a function that brings up a network in a sealed lab, and returns a function to act in it.

    `act("cmd", "host1", "ip addr")` calls that method of `tests.lab_program.Program`.
    """
    with contextlib.ExitStack() as labs:

        def start(spec, how: str):
            log = tmp_path_factory.mktemp("lab") / "log"
            inside = labs.enter_context(
                SealedLab("tests.lab_program", [spec.model_dump_json(), how], log=log)
            )
            assert inside.channel.receive() == {"up": True}, log.read_text()

            def act(what: str, *arguments):
                inside.channel.send({"do": what, "with": arguments})
                message = inside.channel.receive()
                assert message is not None, log.read_text()
                return message["value"]

            return act

        yield start


def pytest_collection_modifyitems(config, items):
    """Skip the tests of the lab, with the reason, where no lab can be had.

    A machine that is shared may hold up a test for seconds. So those of the lab have a second try, and the
    summary names each that needed it: that is a fault of the test, to be mended.
    """
    wanted = [item for item in items if item.get_closest_marker("lab")]
    if not wanted:
        return
    for item in wanted:
        item.add_marker(pytest.mark.flaky(reruns=1))
    reason = _no_lab()
    if reason:
        for item in wanted:
            item.add_marker(pytest.mark.skip(reason=reason))


def _no_lab() -> str:
    if not sys.platform.startswith("linux"):
        return "needs Linux namespaces"
    from lq.doctor import check

    missing = [check for check in check() if check.needed and not check.ok]
    if missing and os.environ.get("CI"):
        pytest.exit(f"CI must be able to run every test; {missing[0].name}: {missing[0].found}", returncode=1)
    return f"{missing[0].name}: {missing[0].found}; to mend it: {missing[0].fix}" if missing else ""
