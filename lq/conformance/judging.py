"""The program inside the sealed lab: starts a server, judges it, and reports.

    python -m lq.conformance.judging CHANNEL_FD

In: one object, `{"peer": ..., "dialect": ..., "rows": [...]}`. Out: `{"progress": [what, done, of]}` as
things go on, then `{"version": ..., "results": [...]}` or `{"error": line}`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from lq.conformance.started import VARIANTS, Wire, running, version
from lq.conformance.suite import NOT_APPLICABLE, RowResult, Tell, conform
from lq.errors import BadInput
from lq.sandbox.answering import answer
from lq.sandbox.channel import Channel


def judge(peer: str, dialect: str, rows: Collection[str], tell: Tell) -> list[RowResult]:
    """`rows`, or all, against a server as it is, and those left open against it configured otherwise."""
    wire = Wire()
    plain, *others = VARIANTS[peer]
    with running(peer, plain, dialect, wire):
        results = conform(plain.target(dialect), rows, tell)
    for variant in others:
        wanted = [row for row in variant.rows if not rows or row in rows]
        if not wanted:
            continue
        with running(peer, variant, dialect, wire):
            again = {result.id: result for result in conform(variant.target(dialect), wanted)}
        for index, result in enumerate(results):
            other = again.get(result.id, result)
            if result.verdict == NOT_APPLICABLE != other.verdict:
                results[index] = replace(other, evidence=f"configured {variant.name}: {other.evidence}")
    return results


def main(channel: Channel) -> int:
    """Judge one server by one dialect."""

    def judged(request: Mapping[str, Any]) -> dict[str, Any]:
        results = judge(request["peer"], request["dialect"], request["rows"], channel.tell)
        return {"version": version(request["peer"]), "results": [result.as_dict() for result in results]}

    return answer(channel, judged, BadInput, RuntimeError)


if __name__ == "__main__":
    sys.exit(main(Channel.from_fd(int(sys.argv[1]))))
