"""How a program in a sealed lab answers the one request that it is started for."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any

from lq.sandbox.channel import Channel

Work = Callable[[dict[str, Any]], Mapping[str, Any]]


def answer(channel: Channel, work: Work, *expected: type[Exception]) -> int:
    """Send what `work` makes of the request, or `{"error": line}`; return the exit status, 0 or 1.

    An error that is `expected` is the user's to read. Any other is a fault of ours: its traceback goes to the
    log, and the user gets its line.
    """
    request = channel.receive()
    if request is None:
        return 1
    try:
        message = work(request)
    except expected as error:
        channel.send({"error": str(error)})
        return 1
    except Exception as error:
        traceback.print_exc()
        channel.send({"error": f"{type(error).__name__}: {error}"})
        return 1
    channel.send(message)
    return 0
