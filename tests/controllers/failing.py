"""`python -m tests.controllers.failing SETTINGS.json`: the concentrator's controller with faults put in.

A packet for `FAILS` makes the engine fail, one for `REFUSED` makes the controller send what no switch takes.
After the first failure what time makes due fails once, too.
"""

from __future__ import annotations

import os
import struct
import sys
from ipaddress import IPv4Address

FAILS, REFUSED = IPv4Address("198.18.66.66"), IPv4Address("198.18.66.67")


def put_in() -> None:
    """Put the faults in."""
    from controllers.forwarder import Forwarder
    from lq.concentrator.events import Downstream

    ask, wake, failures = Forwarder._ask, Forwarder.wake, []

    def failing_ask(self, event, address, *rest):
        if address == FAILS and isinstance(event, Downstream):
            failures.append(address)
            raise ZeroDivisionError(f"in two\nlines, of {address}")
        if address == REFUSED:
            self.to_switch.append(struct.pack("!BBHI", 4, 14, 56, 7) + bytes(47) + b"\xee")
        ask(self, event, address, *rest)

    def failing_wake(self, now):
        wake(self, now)
        if failures and None not in failures:
            failures.append(None)
            raise KeyError("due")

    Forwarder._ask, Forwarder.wake = failing_ask, failing_wake


if __name__ == "__main__":
    os.environ["LQ_CONTROLLER_FRAMEWORK"] = "ryu"
    from controllers import framework  # noqa: F401 - before anything else of it
    from controllers.__main__ import main

    put_in()
    main(sys.argv[1:])
