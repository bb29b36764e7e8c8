"""The suite against real servers in sealed labs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from lq.conformance import peers
from lq.conformance.report import exit_status
from lq.errors import BadInput
from lq.sandbox.tools import find
from tests import support

NEVER = {"R3-2", "R6.4.2-9", "R7-1", "R7-2"}
PROGRAM = """
import sys
from lq.conformance import peers, report
if __name__ == "__main__":
    tell = lambda what, done, of: print(what, done, of, file=sys.stderr, flush=True)
    print(report.as_json(peers.conform_peers(["builtin"], ["draft-03"], sys.argv[1:], tell)))
"""


def verdicts(judged, verdict):
    return {result.id for result in judged.results if result.verdict == verdict}


@pytest.mark.lab
def test_the_builtin_server_keeps_every_rule_in_both_dialects():
    told = []
    both = peers.conform_peers(["builtin"], tell=lambda *progress: told.append(progress))
    assert [(each.server, each.dialect) for each in both] == [("builtin", "rfc4388"), ("builtin", "draft-03")]
    for each in both:
        assert [result for result in each.results if result.verdict == "fail"] == []
    rfc, draft = both
    assert verdicts(draft, "not applicable") == NEVER
    assert verdicts(rfc, "not applicable") == {*NEVER, "R6.4-6"}
    assert exit_status(both) == 0
    assert all(each.version.startswith("lq ") for each in both)
    assert ("builtin draft-03", 37, 37) in told


@pytest.mark.lab
@pytest.mark.skipif(find("dhcpd") is None, reason="ISC dhcpd is not installed")
def test_where_isc_dhcpd_departs():
    """What peers of the kind do is known; a change here is news about dhcpd or about the suite."""
    rfc, draft = peers.conform_peers(["dhcpd"])
    both = {"R6.3-2", "R6.4-2", "R6.4-3", "R6.4-4", "R6.4.2-2", "R6.4.2-8"}
    assert verdicts(rfc, "fail") == {*both, "R6.4-1"}
    assert verdicts(draft, "fail") == {*both, "R6.4.2-4"}
    assert verdicts(rfc, "not applicable") == {*NEVER, "R6.4-5", "R6.4-6"}
    assert verdicts(draft, "not applicable") == {*NEVER, "R6.4-5", "R6.4-6", "R6.1-2"}
    assert exit_status([rfc, draft]) == 1
    assert (rfc.result("R6.4-3").level, draft.result("R6.4-3").level) == ("MUST", "SHOULD")
    assert (rfc.result("R6.4.2-2").level, draft.result("R6.4.2-2").level) == ("SHOULD", "MUST")
    evidence = rfc.result("R6.4-1").evidence
    assert re.search(r"query by MAC (\S+), a client whose lease ended: known", evidence)
    assert rfc.version.startswith("isc-dhcpd")


def test_a_server_that_cannot_be_had_is_named(monkeypatch):
    with pytest.raises(BadInput, match="did you mean 'dhcpd'"):
        peers.conform_peers(["dhcp"])
    monkeypatch.setattr(peers, "find", lambda tool: None)
    with pytest.raises(BadInput, match=r"apt-get install .*isc-dhcp-server"):
        peers.conform_peers(["dhcpd"])


def started(mark, *rows):
    """The suite as an ordinary user, in a process of its own."""
    home = support.private_directory()
    program = home / "program.py"
    program.write_text(PROGRAM)
    program.chmod(0o644)
    return subprocess.Popen(
        support.as_ordinary_user([sys.executable, "-W", "ignore", str(program), *rows]),
        cwd=support.ROOT,
        env={**os.environ, "PYTHONPATH": str(support.ROOT), "HOME": str(home), "LQ_MARK": mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


ROWS = ("R5-3", "R6.4-3", "R6.4-4")  # the first with another configuration of the server


@pytest.mark.lab
def test_it_needs_no_root():
    process = started("without-root", *ROWS)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    results = json.loads(out)
    assert {result["id"]: result["verdict"] for result in results} == dict.fromkeys(ROWS, "pass")
    assert set(results[0]) == {"id", "level", "verdict", "evidence"}


@pytest.mark.lab
@pytest.mark.alone
def test_sigkill_leaves_nothing(tmp_path):
    mark = str(uuid.uuid4())
    before = set(os.listdir("/tmp"))
    process = started(mark)
    assert process.stderr.readline().startswith("builtin draft-03 0"), process.communicate()
    assert len(support.descendants_marked(mark)) > 3
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    deadline = time.monotonic() + 30
    while left := support.descendants_marked(mark):
        assert time.monotonic() < deadline, [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left]
        time.sleep(0.02)
    assert not [name for name in set(os.listdir("/tmp")) - before if name.startswith("lq-conform")]
