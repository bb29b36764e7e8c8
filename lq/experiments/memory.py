"""What the concentrator of a live network knows at the moment."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from lq.experiments.control import Control
from lq.experiments.states import States


class Memory:
    """The present controller's memory, read from what it writes. Any thread may look."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._states = States()
        self._read: tuple[Path | None, int] = (None, 0)  # the record, and how far it is read
        self._looking = threading.Lock()

    @contextlib.contextmanager
    def look(self) -> Iterator[tuple[States, float]]:
        """Give what is known, and the time (monotonic, seconds): nothing while the controller is down."""
        with self._looking:
            if not self._control.up:
                yield States(), time.monotonic()
                return
            path = self._control.record_file
            if path != self._read[0]:  # a new controller knows nothing
                self._states, self._read = States(), (path, 0)
            if path.exists():
                with path.open("rb") as record:
                    record.seek(self._read[1])
                    lines = record.read()
                whole = lines[: lines.rfind(b"\n") + 1]
                self._read = (path, self._read[1] + len(whole))
                self._states.feed(json.loads(line) for line in whole.splitlines())
            yield self._states, time.monotonic()
