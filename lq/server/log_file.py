"""SQLite's write-ahead log, read for damage before SQLite reads it.

SQLite takes the first frame that does not fit its checksum for the end of the log. That is right after a
power cut, which tears the last commit; but a byte flipped further ahead would silently lose all behind it.
(Format: sqlite.org/fileformat2.html, section 4, "The Write-Ahead Log".)
"""

from __future__ import annotations

import struct
from pathlib import Path

_HEADER = struct.Struct(">8I")  # magic, format, page size, checkpoint, two salts, two sums
_FRAME = struct.Struct(">6I")  # page, pages after a commit or 0, two salts, two sums
_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}  # the byte order of the sums
_MASK = 0xFFFFFFFF
_READ = 256  # frames read at once

Sums = tuple[int, int]
Salts = tuple[int, int]


class DamagedLog(Exception):
    """The log has damage that no power cut makes; the message says where."""


def check(path: Path) -> bool:
    """Whether there is a log that was begun. Raises DamagedLog, or OSError if it cannot be read.

    A commit is synced before the next begins. So a power cut leaves at most one commit torn, the last: behind
    a bad frame there is then no page twice, and no commit but at the very end.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return False
    with file:
        header = file.read(_HEADER.size)
        more = file.read(1) != b""
        if len(header) < _HEADER.size or not _header_fits(header):
            if more:  # the header is synced before the first frame is written
                raise DamagedLog("its header is damaged")
            return False
        magic, _, page_size, _, first_salt, second_salt, *_ = _HEADER.unpack(header)
        size = _FRAME.size + page_size
        tail = _Tail((first_salt, second_salt))
        sums = _HEADER.unpack(header)[6:8]
        whole = True
        file.seek(_HEADER.size)
        number = 0
        while True:
            octets = file.read(size * _READ)
            for start in range(0, len(octets) - size + 1, size):
                number += 1
                frame = _FRAME.unpack_from(octets, start)
                if whole:
                    found = _add(octets[start : start + 8], sums, _MAGIC[magic])
                    found = _add(octets[start + _FRAME.size : start + size], found, _MAGIC[magic])
                    whole = found == frame[4:] and frame[2:4] == tail.salts and frame[0] > 0
                    sums = found
                tail.add(number, frame[0], frame[1] != 0, frame[2:4], whole)
            if len(octets) < size * _READ:
                return True


class _Tail:
    """The frames behind the last whole commit."""

    def __init__(self, salts: Salts) -> None:
        self.salts = salts
        self._pages: set[int] = set()
        self._ended = 0  # the frame that ends a commit which is not whole
        self._bad = 0  # the first bad frame

    def add(self, number: int, page: int, ends: bool, salts: Salts, whole: bool) -> None:
        """Take in the next frame. Raises DamagedLog if it is of another commit than those before."""
        if whole:
            self._pages.add(page)
            if ends:
                self._pages.clear()
            return
        self._bad = self._bad or number
        if salts != self.salts:
            # Of an older generation: both salts differ. Where one is the same, the other was flipped.
            if salts[0] != self.salts[0] and salts[1] != self.salts[1]:
                return
            raise DamagedLog(f"frame {number} is damaged")
        if self._ended or page in self._pages:
            raise DamagedLog(f"frame {self._bad} is damaged, and later commits follow it")
        self._pages.add(page)
        if ends:
            self._ended = number


def _header_fits(header: bytes) -> bool:
    magic, _, page_size, *_, first, second = _HEADER.unpack(header)
    if magic not in _MAGIC or page_size & (page_size - 1) or not 512 <= page_size <= 65536:
        return False
    return _add(header[:24], (0, 0), _MAGIC[magic]) == (first, second)


def _add(octets: bytes, sums: Sums, order: str) -> Sums:
    """SQLite's running checksum."""
    first, second = sums
    words = struct.unpack(f"{order}{len(octets) // 4}I", octets)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & _MASK
        second = (second + odd + first) & _MASK
    return first, second
