"""What the controller saw and did, one JSON object a line, each written at once: a kill loses none."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any


class Recorder:
    """Appends to a file. Every line has `at`, the monotonic clock in seconds, and `event`."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, event: str, at: float | None = None, **fields: Any) -> None:
        """Write one line; values that JSON does not know are written as text."""
        line = {"at": time.monotonic() if at is None else at, "event": event, **fields}
        os.write(self._fd, json.dumps(line, default=str, separators=(",", ":")).encode() + b"\n")
