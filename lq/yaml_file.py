"""YAML that somebody else has written: read within bounds, every fault told with its line.

Specifications and server configurations are read here, and nowhere else. What is read is YAML 1.2's core:
text, whole numbers, numbers, true, false, null, lists and mappings; of YAML 1.1 merge keys (`<<`) beside
them. `yes`, `off`, dates and `12:30:45` are text. An alias counts as often as it is used, so that a few lines
cannot stand for a billion values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from lq import files
from lq.errors import BadInput, shown

MOST_OCTETS = 8 << 20  # of a file
MOST_DEPTH = 32  # lists and mappings within one another
MOST_VALUES = 1_000_000  # aliases replaced by what they stand for; of long text, `_PIECE` characters are one
MOST_KEYS = 1_000  # of one mapping
MOST_TEXT = 10_000  # characters of one text
MOST_DIGITS = 64  # characters of one number
_PIECE = 64

_TAGS = {f"tag:yaml.org,2002:{name}": name for name in ("null", "bool", "int", "float", "str", "seq", "map")}
_NULL = ("", "~", "null", "Null", "NULL")
_BOOL = {"true": True, "false": False}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_OCTAL_OF_OLD = re.compile(r"[-+]?0[0-9]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader  # only its parser is used
_MERGE = object()


class YamlError(BadInput):
    """The text cannot be read. `said` is what is wrong, without file and line."""

    def __init__(self, name: str, line: int, said: str) -> None:
        super().__init__(f"{name}:{line}: {said}")
        self.said = said


class _Whole(int):
    """A whole number that as text is what was written: the zeros of 0x0102 count where octets are meant."""

    text = ""

    def __str__(self) -> str:
        return self.text


class _Real(float):
    """A number that as text is what was written, such as 2.10, a circuit with two tags."""

    text = ""

    def __str__(self) -> str:
        return self.text


class Section(BaseModel):
    """A part of a specification or configuration: unknown keys are refused, and so is true for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and info.field_name is not None:
            kind = cls.model_fields[info.field_name].annotation
            if kind is not bool and "bool" not in str(kind):
                raise ValueError(f"{str(value).lower()} is not a value for this")
        return value


@dataclass(frozen=True)
class Document:
    """What was read: `data`, with the `text` it comes from and the `name` of the file."""

    name: str
    text: str
    data: Any

    def line(self, keys: Sequence[int | str]) -> int:
        """The line, from 1, of the innermost of `keys` that the text contains."""
        events = _events(self.text)
        line = 1
        for event in events:
            line = event.start_mark.line + 1
            if isinstance(event, yaml.NodeEvent):
                return _line_below(event, events, list(keys)) or line
        return line

    def within(self, keys: Sequence[int | str], said: str) -> str:
        """One line about what is wrong at a key: `FILE:LINE: SAID`."""
        return f"{self.name}:{self.line(keys)}: {said}"


def load(path: Path | str) -> Document:
    """Read a file. Raises BadInput: one line with the file, and with the line number where there is one."""
    return decode(files.read(path, MOST_OCTETS), str(path))


def decode(content: bytes, name: str) -> Document:
    """Read YAML from octets in UTF-8. Raises YamlError."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        said = "not UTF-8 text"
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            said = "this is UTF-16 text"
        line = content.count(b"\n", 0, error.start) + 1
        raise YamlError(name, line, f"{said}: save the file as UTF-8") from None
    return parse(text, name)


def parse(text: str, name: str) -> Document:
    """Read YAML from text. Raises YamlError."""
    if len(text) > MOST_OCTETS:
        raise YamlError(name, 1, f"too long: use at most {MOST_OCTETS:,} octets")
    if odd := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        raise YamlError(
            name, line, f"the character U+{ord(odd.group()):04X} is not allowed in text: remove it"
        )
    reader = _Reader(name)
    try:
        for event in _events(text):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = f"not valid YAML: {error.problem or error.context}"
        raise YamlError(name, mark.line + 1 if mark else 1, said) from None
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise YamlError(name, 1, f"not valid YAML: {error}") from None
    return Document(name, text, reader.data)


def dump(data: Any) -> str:
    """Return values as YAML that is read back as the same values."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False)


class _Dumper(yaml.SafeDumper):
    """Puts text in quotation marks if it would be read as something else here, such as 08 and 1e6."""


def _text(dumper: yaml.SafeDumper, text: str) -> Any:
    try:
        style = None if _plain(text)[0] == text else "'"
    except ValueError:
        style = "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _events(text: str) -> Iterator[Any]:
    return iter(yaml.parse(text, Loader=_LOADER))


class _Value(NamedTuple):
    data: Any
    size: int  # how many values it counts for


class _Open:
    """A list or mapping that has begun: what it holds so far."""

    def __init__(self, event: Any) -> None:
        self.anchor: str | None = event.anchor
        self.data: Any = [] if isinstance(event, yaml.SequenceStartEvent) else {}
        self.size = 1
        self.key: Any = None
        self.waits = False  # a mapping, whose key is there and whose value is not
        self.merged: list[dict[Any, Any]] = []


class _Reader:
    """Makes values of events. Nothing here recurses, and what has grown too large ends it at once."""

    def __init__(self, name: str) -> None:
        self.data: Any = None
        self._name = name
        self._open: list[_Open] = []
        self._anchors: dict[str, _Value] = {}
        self._size = 0  # of everything so far
        self._documents = 0

    def take(self, event: Any) -> None:
        """Take the next event."""
        if isinstance(event, yaml.ScalarEvent):
            data = _scalar(event, self._fault)
            size = 1 + len(event.value) // _PIECE
            self._put(event, _Value(data, size), event.anchor)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise self._fault(event, f"*{event.anchor} stands for nothing: put &{event.anchor} before it")
            self._put(event, self._anchors[event.anchor])
        elif isinstance(event, yaml.CollectionStartEvent):
            kind = "seq" if isinstance(event, yaml.SequenceStartEvent) else "map"
            if _tag(event, self._fault) not in (None, kind):
                raise self._fault(event, "the tag does not fit the value after it: leave it out")
            if len(self._open) >= MOST_DEPTH:
                raise self._fault(event, f"nested too deeply: use at most {MOST_DEPTH} levels")
            self._grow(event, 1)
            self._open.append(_Open(event))
        elif isinstance(event, yaml.CollectionEndEvent):
            whole = self._open.pop()
            for some in whole.merged:
                whole.data = {**some, **whole.data}
            self._size -= whole.size  # it is counted again as it is put into what it is in
            self._put(event, _Value(whole.data, whole.size), whole.anchor)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self._fault(event, "a second document begins here: keep one, without `---` in between")

    def _put(self, event: Any, value: _Value, anchor: str | None = None) -> None:
        """Put a whole value where it belongs."""
        self._grow(event, value.size)
        if anchor is not None:
            self._anchors[anchor] = value
        if not self._open:
            self.data = None if value.data is _MERGE else value.data
            return
        inside = self._open[-1]
        inside.size += value.size
        if isinstance(inside.data, list):
            inside.data.append("<<" if value.data is _MERGE else value.data)
        elif not inside.waits:
            inside.key, inside.waits = self._key(event, inside, value.data), True
        elif inside.key is _MERGE:
            inside.waits = False
            self._merge(event, inside, value.data)
        else:
            inside.waits = False
            inside.data[inside.key] = "<<" if value.data is _MERGE else value.data

    def _key(self, event: Any, inside: _Open, key: Any) -> Any:
        if key is _MERGE:
            return key
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise self._fault(event, f"{shown(key)} is not a key: use text, in quotation marks if necessary")
        if key in inside.data:
            raise self._fault(event, f"{shown(key)} occurs twice: keep one of the two")
        if len(inside.data) >= MOST_KEYS:
            raise self._fault(event, f"too many keys: use at most {MOST_KEYS:,} in one mapping")
        return key

    def _merge(self, event: Any, inside: _Open, value: Any) -> None:
        """Take note of `<<: value`: what is written out counts before it, an earlier one before a later."""
        some = value if isinstance(value, list) else [value]
        if not all(isinstance(each, dict) for each in some):
            raise self._fault(event, "`<<` takes a mapping, or a list of mappings")
        inside.merged += some
        if sum(map(len, inside.merged)) > MOST_KEYS:
            raise self._fault(event, f"too many keys: use at most {MOST_KEYS:,} in one mapping")

    def _grow(self, event: Any, size: int) -> None:
        self._size += size
        if self._size > MOST_VALUES:
            said = (
                f"too many values: use at most {MOST_VALUES:,}; each alias counts as all that it stands for"
            )
            raise self._fault(event, said)

    def _fault(self, event: Any, said: str) -> YamlError:
        return YamlError(self._name, event.start_mark.line + 1, said)


def _tag(event: Any, fault: Any) -> str | None:
    """The tag that is written out, by its short name; None if there is none."""
    if event.tag in (None, "!"):
        return "str" if event.tag == "!" and isinstance(event, yaml.ScalarEvent) else None
    if event.tag not in _TAGS:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!", 1)
        raise fault(event, f"the tag {shown(tag)} is unknown: leave it out")
    return _TAGS[event.tag]


def _scalar(event: Any, fault: Any) -> Any:
    """The value of a scalar: by its tag, else by its form if it is plain, else text."""
    text: str = event.value
    if len(text) > MOST_TEXT:
        raise fault(event, f"text of {len(text):,} characters is too long: use at most {MOST_TEXT:,}")
    if odd := _UNPRINTABLE.search(text):
        code = ord(odd.group())
        raise fault(event, f"the character U+{code:04X} is not allowed in text: write octets as 0x{code:02x}")
    tag = _tag(event, fault)
    if tag is None and not event.implicit[0]:  # in quotation marks, or a block
        return text
    if tag == "str":
        return text
    try:
        found, kind = _plain(text)
    except ValueError as error:
        raise fault(event, str(error)) from None
    if tag is None:
        return found
    if tag == "float" and kind == "int":
        return float(found)
    if tag != kind:
        raise fault(event, f"{shown(text)} does not fit the tag !!{tag}: leave the tag out")
    return found


def _plain(text: str) -> tuple[Any, str]:
    """What a plain scalar is by its form, and the name of its kind. Raises ValueError."""
    if text in _NULL:
        return None, "null"
    if text.lower() in _BOOL and text in (text.lower(), text.upper(), text.capitalize()):
        return _BOOL[text.lower()], "bool"
    if text == "<<":
        return _MERGE, "str"
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a usable number: write another, or text in quotation marks")
    whole = _INT.fullmatch(text)
    if not whole and not _FLOAT.fullmatch(text):
        return text, "str"
    if len(text) > MOST_DIGITS:
        said = f"a number of {len(text):,} characters is too long: use at most {MOST_DIGITS}"
        raise ValueError(f"{said}, or text in quotation marks")
    if _OCTAL_OF_OLD.fullmatch(text):
        said = f"{text} is read as different numbers by different programs: leave out the zeros before it"
        raise ValueError(f"{said}, or put it in quotation marks if it is text")
    if whole:
        whole_number = int(text, {"0x": 16, "0o": 8}.get(text[:2], 10))
        return _as_written(whole_number, _Whole(whole_number), text), "int"
    real = float(text) + 0.0  # a zero has no sign
    if math.isinf(real):
        raise ValueError(f"{text} is larger than any usable number: use a smaller one")
    return _as_written(real, _Real(real), text), "float"


def _as_written(number: int | float, keeping: Any, text: str) -> Any:
    """Return a number that remembers its text, if it would be written otherwise by itself."""
    if str(number) == text:
        return number
    keeping.text = text
    return keeping


def _line_below(event: Any, events: Iterator[Any], keys: list[int | str]) -> int | None:
    """The line of the innermost of `keys` within a node that has begun; None if it has not even the first."""
    if not keys or not isinstance(event, yaml.CollectionStartEvent):
        return None
    mapping = isinstance(event, yaml.MappingStartEvent)
    number = 0
    while not isinstance(child := next(events), yaml.CollectionEndEvent):
        found = number == keys[0]
        if mapping:
            found = isinstance(child, yaml.ScalarEvent) and child.value == str(keys[0])
            line = child.start_mark.line + 1
            if not found:
                _skip(child, events)
            child = next(events)
        else:
            line = child.start_mark.line + 1
        if found:
            return _line_below(child, events, keys[1:]) or line
        _skip(child, events)
        number += 1
    return None


def _skip(event: Any, events: Iterator[Any]) -> None:
    """Pass over the rest of a node that has begun."""
    depth = int(isinstance(event, yaml.CollectionStartEvent))
    while depth:
        event = next(events)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
