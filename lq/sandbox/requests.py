"""Numbered requests over a channel: many at a time, answered in any order, each of them cancelled on its own.

    out:  {"number": 7, "do": "hosts", "with": {...}}      {"cancel": 7}
    in:   {"number": 7, "value": ...}, or {"number": 7, "error": line, "kind": "BadInput"};
          before that any number of others, such as {"number": 7, "progress": [...]}

`Caller` is the end that asks, from any thread; `Service` is the end that answers. Whoever stops waiting,
by Ctrl-C or any exception, has his request cancelled, and what still comes for it is dropped.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lq.errors import BadInput, RunFailed, shown
from lq.sandbox.channel import Channel, line_of

MOST_AT_ONCE = 64  # requests under way; further ones are refused
CANCEL_PATIENCE = 30.0  # seconds that a cancelled request has to end before others go on all the same
Hear = Callable[[Mapping[str, Any]], None]
"""Takes what comes before the answer."""

_current = threading.local()


class Caller:
    """The end that asks. `why` says, once the other end is gone, what became of it.

    Two threads of its own send and receive: Ctrl-C in the one that waits can tear no line apart.
    """

    def __init__(self, channel: Channel, why: Callable[[], Exception]) -> None:
        self._why = why
        self._gone = False
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[Mapping[str, Any] | None]] = {}
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        for work in (self._send, self._receive):
            threading.Thread(target=work, args=(channel,), daemon=True).start()

    def ask(self, what: str, details: Mapping[str, Any], hear: Hear = lambda _: None) -> Any:
        """Ask for something, and wait for its value.

        `hear` gets what comes before that, in this thread. Raises BadInput or RunFailed as the other end
        says, BadInput for a detail that cannot be sent, or what `why` gives when the other end is gone.
        """
        number, messages = next(self._numbers), queue.SimpleQueue[Mapping[str, Any] | None]()
        line, answered = _request(number, what, details), False
        try:
            self._waiting[number] = messages
            self._outgoing.put(line)
            while True:
                message = None if self._gone and messages.empty() else messages.get()
                answered = message is None or "value" in message or "error" in message
                if message is None:
                    raise self._why()
                if "error" in message:
                    raise (BadInput if message.get("kind") == "BadInput" else RunFailed)(message["error"])
                if "value" in message:
                    return message["value"]
                hear(message)
        finally:
            self._waiting.pop(number, None)
            if not answered:
                self._outgoing.put(line_of({"cancel": number}))

    @property
    def waiting(self) -> int:
        """How many requests are waited for."""
        return len(self._waiting)

    def _send(self, channel: Channel) -> None:
        with contextlib.suppress(OSError, ValueError):  # gone, or closed by us
            while (line := self._outgoing.get()) is not None:
                channel.send_line(line)

    def _receive(self, channel: Channel) -> None:
        try:
            with contextlib.suppress(OSError, ValueError):  # gone, or it says what nobody understands
                for message in channel:
                    number = message.get("number")
                    messages = self._waiting.get(number) if isinstance(number, int) else None
                    if messages is not None:  # else nobody waits any more
                        messages.put(message)
        finally:
            self._gone = True
            self._outgoing.put(None)
            for messages in tuple(self._waiting.values()):
                messages.put(None)


def _request(number: int, what: str, details: Mapping[str, Any]) -> bytes:
    """Return a request as it is sent. Raises BadInput that names the detail which cannot be."""
    for name, value in details.items():
        try:
            line_of({name: value})
        except ValueError:
            raise BadInput(f"{name} is {shown(value)}: use text, numbers, or a list of these") from None
    return line_of({"number": number, "do": what, "with": details})


class Request:
    """One that is being carried out, in a thread of its own."""

    def __init__(self, channel: Channel, number: int) -> None:
        self._channel = channel
        self._told: list[str | int] = []
        self.number = number
        self.cancelled = threading.Event()
        self.whole = False  # whether it is in a part that is not to be left half-done
        self.thread: threading.Thread | None = None

    def say(self, **message: Any) -> None:
        """Send something to whoever asked."""
        with contextlib.suppress(OSError):  # the other end is gone, and with it the lab in a moment
            self._channel.send({"number": self.number, **message})

    def tell(self, what: str, done: int, total: int) -> None:
        """Send progress, unless that was the latest told."""
        told: list[str | int] = [what, done, total]
        if told != self._told:
            self._told = told
            self.say(progress=told)

    def answer(self, work: Callable[[], Any]) -> None:
        """Do the work, and send what it comes to."""
        _current.request = self
        try:
            self.say(value=work())
        except (BadInput, RunFailed, RuntimeError) as error:
            self.say(error=str(error), kind=type(error).__name__)
        except Exception as error:  # a fault of ours: the log has the traceback, the user gets the line
            traceback.print_exc()
            self.say(error=f"{type(error).__name__}: {error}")
        finally:
            _current.request = None


def current() -> Request:
    """Return the request that the present thread carries out."""
    request: Request = _current.request
    return request


def given_up() -> bool:
    """Whether the present thread carries out a request that was cancelled, and may leave it half-done."""
    request: Request | None = getattr(_current, "request", None)
    return request is not None and not request.whole and request.cancelled.is_set()


@contextlib.contextmanager
def to_its_end() -> Iterator[None]:
    """Carry out what is within the `with` block whole, even if the request is cancelled meanwhile."""
    request = current()
    request.whole = True
    try:
        yield
    finally:
        request.whole = False


class Service:
    """The end that answers: `handle` gets each request's name and details, in a thread of its own.

    A request that is cancelled has ended before any later one begins: it looks at `given_up`.
    """

    def __init__(self, channel: Channel, handle: Callable[[str, Mapping[str, Any]], Any]) -> None:
        self._channel = channel
        self._handle = handle
        self._under_way: dict[int, Request] = {}

    def serve(self) -> None:
        """Answer until the other end hangs up."""
        for message in self._channel:
            if "cancel" in message:
                self._cancel(message["cancel"])
            else:
                self._begin(message)

    def _begin(self, message: Mapping[str, Any]) -> None:
        request = Request(self._channel, message["number"])
        if len(self._under_way) >= MOST_AT_ONCE:
            request.say(error=f"{MOST_AT_ONCE} requests are already open: wait for one of them")
            return
        self._under_way[request.number] = request
        request.thread = threading.Thread(target=self._carry_out, args=(request, message), daemon=True)
        request.thread.start()

    def _carry_out(self, request: Request, message: Mapping[str, Any]) -> None:
        def work() -> Any:
            try:
                return self._handle(message["do"], message["with"])
            finally:
                del self._under_way[request.number]

        request.answer(work)

    def _cancel(self, number: int) -> None:
        request = self._under_way.get(number)
        if request is not None and request.thread is not None:
            request.cancelled.set()
            request.thread.join(CANCEL_PATIENCE)
