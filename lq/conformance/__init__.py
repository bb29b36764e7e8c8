"""The conformance suite: every rule for servers of leasequery as a check that runs against any server.

`rows` lists the rules, `checks` holds one function for each in the order of the draft, `states` makes
the bindings that they ask about, `requester` does the I/O, `suite` runs it all, `report` shows it.
`peers` does so against servers that it starts in sealed labs.
"""

from lq.conformance.suite import RowResult, Target, conform

__all__ = ["RowResult", "Target", "conform"]
