"""The suite against servers that are started for it, each in a sealed lab of its own, side by side."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lq.conformance.report import Judged
from lq.conformance.started import PACKAGES, VARIANTS
from lq.conformance.suite import RowResult, refuse_unknown
from lq.errors import BadInput, RunFailed, unknown
from lq.sandbox.sealed_lab import SealedLab
from lq.sandbox.tools import find
from lq.wire import DRAFT_03, RFC4388

DIALECTS = (RFC4388.name, DRAFT_03.name)
_LABS = 4  # at a time; they wait most of the time
Tell = Callable[[str, int, int], None]


def conform_peers(
    peers: Sequence[str],
    dialects: Sequence[str] = DIALECTS,
    rows: Collection[str] = (),
    tell: Tell = lambda what, done, of: None,
) -> list[Judged]:
    """Judge each of the servers (`builtin`, `dhcpd`) by each of the dialects, by `rows` or all there are.

    Each pair has its own sealed lab, which ends with the suite, with this process, or if it is killed.
    Raises BadInput for a row that is unknown, a server that is, or is not installed, RunFailed where one
    does not start, LabError where no lab can be had.
    """
    refuse_unknown(rows)
    for peer in peers:
        if peer not in VARIANTS:
            raise BadInput(f"{unknown('server', peer, VARIANTS)} (there are: {', '.join(VARIANTS)})")
        if peer in PACKAGES and find(peer) is None:
            raise BadInput(
                f"{peer} is not installed: sudo apt-get install --no-install-recommends {PACKAGES[peer]}"
            )
    pairs = [(peer, name) for peer in dict.fromkeys(peers) for name in dict.fromkeys(dialects)]
    with ThreadPoolExecutor(_LABS) as labs:
        return list(labs.map(lambda pair: _in_lab(pair[0], pair[1], rows, tell), pairs))


@contextlib.contextmanager
def _log() -> Iterator[Path]:
    """A file in memory, which is gone with this process, even if it is killed."""
    fd = os.memfd_create("log")
    try:
        yield Path(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def _in_lab(peer: str, dialect: str, rows: Collection[str], tell: Tell) -> Judged:
    with _log() as log, SealedLab("lq.conformance.judging", log=log) as lab:
        for message in lab.exchange({"peer": peer, "dialect": dialect, "rows": list(rows)}):
            if "progress" in message:
                _, done, of = message["progress"]
                tell(f"{peer} {dialect}", done, of)
            elif "results" in message:
                results = [RowResult(**result) for result in message["results"]]
                return Judged(peer, dialect, results, message["version"])
            else:
                raise RunFailed(f"{peer}: {message['error']}")
        raise RunFailed(f"the lab for {peer} ended early: {lab.last_words()}")
