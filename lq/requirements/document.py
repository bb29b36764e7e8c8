"""`docs/requirements.md`, made of the table and of what is found in the sources.

Code names the identifier in a docstring or a comment; a test has `@pytest.mark.requirement`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from lq.requirements.rows import ROLES, ROWS, Requirement

PAGE = "docs/requirements.md"
SECTIONS = {
    "1": "The setting",
    "3": "Read-only, and failover",
    "4": "Where locations come from",
    "5": "Overview of the protocol",
    "6.1": "Options",
    "6.2": "Sending a query",
    "6.3": "Receiving a query",
    "6.4": "Answering a query",
    "6.5": "Receiving an answer",
    "6.6": "No answer",
    "6.7": "Several answers",
    "7": "Security, and the claim to be measured",
}

_IDENTIFIER = re.compile(r"\bR\d+(?:\.\d+)*-\d+\b")
_RANGE = re.compile(r"\b(R\d+(?:\.\d+)*)-(\d+) to -(\d+)\b")


def named(text: str) -> set[str]:
    """Return the identifiers in a text; `R6.4.2-3 to -8` stands for all six."""
    between = {
        f"{section}-{number}"
        for section, first, last in _RANGE.findall(text)
        for number in range(int(first), int(last) + 1)
    }
    return between | set(_IDENTIFIER.findall(text))


def marked(source: str) -> set[str]:
    """Return the identifiers that the marks in a test's source name."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    marks = [
        call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "requirement"
    ]
    values = [
        argument.value for mark in marks for argument in mark.args if isinstance(argument, ast.Constant)
    ]
    return {value for value in values if isinstance(value, str)}


def carried_out(root: Path) -> dict[str, list[str]]:
    """Return, for each identifier, the files of code that name it; checks of servers do not count."""
    own = {*(root / "lq/requirements").glob("*.py")}
    paths = [path for top in ("lq", "controllers", "topologies") for path in (root / top).rglob("*.py")]
    paths = [path for path in paths if path not in own and "conformance" not in path.parts]
    return _where(root, paths, named)


def shown(root: Path) -> dict[str, list[str]]:
    """Return, for each identifier, the files of tests that carry its mark."""
    return _where(root, (root / "tests").rglob("*.py"), marked)


def _where(root: Path, paths: Iterable[Path], find: Callable[[str], set[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted(paths):
        for identifier in find(path.read_text()):
            found.setdefault(identifier, []).append(path.relative_to(root).as_posix())
    return found


_HEAD = """\
# Requirements

The rows of draft-ietf-dhc-leasequery-03 that this project goes by, in our words. The identifier names the
section of the draft: `R6.4.2-3` is the third of section 6.4.2. Code that carries a row out names it, and a
test that shows it is marked with it, so `grep -rn R6.4.2-3` finds both. FACT stands for a definition. Where
RFC 4388 rules otherwise, that follows in *italics*.

KNOWN is what RFC 4388 calls UNASSIGNED. The draft left numbers open, so both dialects use those of RFC 4388:
message type 10 is the query; 11, 12 and 13 are KNOWN, UNKNOWN and ACTIVE; option 91 is
client-last-transaction-time. UNIMPLEMENTED and the R bit are the draft's alone, and their numbers can be
configured: see [the two dialects](server.md#the-two-dialects). Bulk leasequery (RFC 6926) is not there.

`python -m lq.requirements` makes this page from [the table of rows](../lq/requirements/rows.py) and from what
it finds in the sources. Where the last column is empty, the text says why the row is not carried out.
"""


_TABLE = "| row | what it asks for | carried out in, shown by |\n|---|---|---|\n"


def page(root: Path) -> str:
    """Return the page for the tree at `root`, as Markdown."""
    code, tests = carried_out(root), shown(root)
    parts = [_HEAD]
    for number, title in SECTIONS.items():
        rows = [row for row in ROWS if re.match(rf"R{re.escape(number)}[.-]", row.id)]
        parts.append(f"\n## Section {number}: {title}\n\n{_TABLE}")
        parts.extend(_line(row, code.get(row.id, []), tests.get(row.id, [])) for row in rows)
    return "".join(parts)


def _line(row: Requirement, code: list[str], tests: list[str]) -> str:
    text = row.text + (f" *{row.rfc4388}*" if row.rfc4388 else "")
    if row.missing:
        text, code, tests = f"{text} **Not carried out.** {row.missing}", [], []
    where = "<br>".join(f"`{path}`" for path in (*code, *tests))
    return f"| {row.id}<br>{ROLES[row.role]}<br>{row.level} | {text} | {where} |\n"
