"""The back-off's states of one server, and what moves it between them (section 6.6).

                          answer
               +------------------------------+
               |                              v
        +------------+   timer, asked   +------------+   timer, not asked   +-----------+
  -->   |   SILENT   | <--------------- | RESPONSIVE | -------------------> |  RESTING  |
        +------------+                  +------------+                      +-----------+
               ^                              ^            answer               |  |
               |                              +---------------------------------+  |
               |                          timer, asked                             |
               +-------------------------------------------------------------------+

* answer: ACTIVE, KNOWN or UNKNOWN came (R6.6-4). UNIMPLEMENTED moves nothing.
* timer: the server's timer went off. *asked*: it owes an answer to a query that was sent since the last one.
  *not asked*: all that was asked is answered.

What a state allows stands beside it in `ALLOWS`. A server begins as SILENT: it is not known that it supports
leasequery. docs/backoff.md tells what each step does, and where the constants come from.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple


class ServerState(Enum):
    """What is known of a server; see the module's text."""

    SILENT = "silent"
    RESTING = "resting"
    RESPONSIVE = "responsive"


class Happening(Enum):
    """What may move a server from one state to another."""

    ANSWER = "answer"
    TIMER_ASKED = "timer, asked"
    TIMER_NOT_ASKED = "timer, not asked"


class Allowed(NamedTuple):
    """What a state allows.

    `window`: as many queries out as the configured window; else one. `own_timers`: each query has a timer of
    its own (R6.6-5); else the server's timer says when the one query polls.
    """

    window: bool
    own_timers: bool


SILENT: Final = ServerState.SILENT
RESTING: Final = ServerState.RESTING
RESPONSIVE: Final = ServerState.RESPONSIVE

ALLOWS: Final = {
    SILENT: Allowed(window=False, own_timers=False),  # R6.6-2, R6.6-3
    RESTING: Allowed(window=False, own_timers=True),  # R6.6-3
    RESPONSIVE: Allowed(window=True, own_timers=True),  # R6.6-4, R6.6-5
}

NEXT: Final = {
    (SILENT, Happening.ANSWER): RESPONSIVE,
    (SILENT, Happening.TIMER_ASKED): SILENT,  # it is polled
    (SILENT, Happening.TIMER_NOT_ASKED): SILENT,  # from now on it may be polled
    (RESTING, Happening.ANSWER): RESPONSIVE,
    (RESTING, Happening.TIMER_ASKED): SILENT,  # R6.6-6
    (RESTING, Happening.TIMER_NOT_ASKED): RESTING,
    (RESPONSIVE, Happening.ANSWER): RESPONSIVE,
    (RESPONSIVE, Happening.TIMER_ASKED): SILENT,  # R6.6-6: all but one query are taken off the wire
    (RESPONSIVE, Happening.TIMER_NOT_ASKED): RESTING,
}
