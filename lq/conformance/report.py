"""What came of the suite, for people and for programs: text, JSON, Markdown, HTML."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lq import files
from lq.conformance.rows import ROWS, Row
from lq.conformance.suite import FAIL, NOT_APPLICABLE, RowResult
from lq.conformance.trial import USUAL
from lq.errors import BadInput
from lq.wire import RFC4388

_SHORT = {NOT_APPLICABLE: "n/a"}
_INTRODUCTION = (
    "Each row is a rule of draft-ietf-dhc-leasequery-03 for DHCP servers. The dialect rfc4388 judges by RFC "
    "4388 where that has changed the rule. Levels are the draft's; FACT is a definition. Queries ask for "
    f"options {' '.join(map(str, USUAL))} unless another list is named."
)
_STYLE = """
body { font-family: sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse } th, td { border: 1px solid #bbb; padding: .3em .6em; text-align: left }
th { background: #eee } .fail { background: #f6c6c0 } .pass { background: #d3ecd0 } .na { color: #777 }
dd { margin: 0 0 .8em 1.5em; overflow-wrap: anywhere; font-size: .9em }
"""


@dataclass(frozen=True)
class Judged:
    """One server judged by one dialect; `server` is its name or address, `version` what it says it is."""

    server: str
    dialect: str
    results: Sequence[RowResult]
    version: str = ""

    @property
    def title(self) -> str:
        """For the head of a column."""
        return f"{self.server}, {self.dialect}"

    def result(self, row: str) -> RowResult | None:
        """The result of a row, None if it was not asked for."""
        return next((result for result in self.results if result.id == row), None)


def exit_status(judged: Sequence[Judged]) -> int:
    """1 if a MUST is failed anywhere, else 0."""
    return int(any(result.failed_must for each in judged for result in each.results))


def as_json(judged: Sequence[Judged]) -> str:
    """A list of id, level, verdict, evidence; with server and dialect, too, where there are several."""
    several = len(judged) > 1
    return json.dumps(
        [
            result.as_dict() | ({"server": each.server, "dialect": each.dialect} if several else {})
            for each in judged
            for result in each.results
        ],
        indent=1,
    )


def text(judged: Sequence[Judged], width: int | None = None) -> str:
    """One line for each row: identifier, level, verdict, and evidence, cut to `width` characters if given.

    Where there are several servers, each has its column of verdicts, and failures follow line by line.
    """
    if len(judged) == 1:
        lines = [_line(result)[:width] for result in judged[0].results]
    else:
        titles = [each.title for each in judged]
        lines = [f"{'':9} {'':9} " + "  ".join(titles)]
        for row, results in _rows(judged):
            verdicts = (
                _verdict(result).ljust(len(title)) for result, title in zip(results, titles, strict=True)
            )
            lines.append(f"{row.id:9} {row.level:9} {'  '.join(verdicts)}".rstrip())
        for each in judged:
            failed = [result for result in each.results if result.verdict == FAIL]
            lines += ["", f"{each.title}:"] if failed else []
            lines += [_line(result)[:width] for result in failed]
    return "\n".join([*lines, "", *(_summary(each) for each in judged)])


def _line(result: RowResult) -> str:
    return f"{result.id:9} {result.level:9} {_verdict(result):5} {result.evidence}"


def _verdict(result: RowResult | None) -> str:
    return "-" if result is None else _SHORT.get(result.verdict, result.verdict)


def _summary(each: Judged) -> str:
    verdicts = [result.verdict for result in each.results]
    musts = sum(result.failed_must for result in each.results)
    passed, failed = verdicts.count("pass"), verdicts.count(FAIL)
    version = f" ({each.version})" if each.version else ""
    return (
        f"{each.title}{version}: {passed} passed, {failed} failed ({musts} of them MUST), "
        f"{verdicts.count(NOT_APPLICABLE)} not applicable"
    )


def _rows(judged: Sequence[Judged]) -> list[tuple[Row, list[RowResult | None]]]:
    found = [(row, [each.result(row.id) for each in judged]) for row in ROWS]
    return [(row, results) for row, results in found if any(results)]


def _remarks(judged: Sequence[Judged]) -> list[tuple[str, list[str]]]:
    """Sections of the report behind the table: title, and a list of lines."""
    sections: list[tuple[str, list[str]]] = []
    for each in judged:
        failed = [
            f"{result.id} ({result.level}): {result.evidence}"
            for result in each.results
            if result.verdict == FAIL
        ]
        sections.append((f"Where {each.title} departs from the rules", failed or ["Nowhere."]))
    if len(judged) > 1:
        differing = []
        for row, results in _rows(judged):
            if len({_verdict(result) for result in results}) > 1:
                said = ", ".join(
                    f"{each.title}: {_verdict(result)}" for each, result in zip(judged, results, strict=True)
                )
                differing.append(f"{row.id}, {row.statement} {said}.")
        sections.append(("Where they differ", differing or ["Nowhere."]))
    if any(each.dialect == RFC4388.name for each in judged):
        changed = [f"{row.id}: {row.rfc4388}" for row, _ in _rows(judged) if row.rfc4388]
        sections.append(("Where RFC 4388 rules otherwise than the draft", changed))
    for each in judged:
        others = [
            f"{result.id}: {result.evidence}" for result in each.results if result.verdict == NOT_APPLICABLE
        ]
        sections.append((f"Not applicable to {each.title}", others))
        seen = [f"{result.id}: {result.evidence}" for result in each.results if result.verdict == "pass"]
        sections.append((f"What {each.title} was asked and answered", seen))
    return [(title, lines) for title, lines in sections if lines]


def markdown(judged: Sequence[Judged]) -> str:
    """The whole report in Markdown."""

    def cell(content: str) -> str:
        return content.replace("|", "\\|")

    lines = ["# DHCP leasequery: conformance", "", _INTRODUCTION, ""]
    lines += [f"- {_summary(each)}" for each in judged]
    lines += ["", "| row | level | rule | " + " | ".join(cell(each.title) for each in judged) + " |"]
    lines += ["|---" * (3 + len(judged)) + "|"]
    for row, results in _rows(judged):
        verdicts = " | ".join(f"**{_verdict(r)}**" if _verdict(r) == FAIL else _verdict(r) for r in results)
        lines.append(f"| {row.id} | {row.level} | {cell(row.statement)} | {verdicts} |")
    for title, remarks in _remarks(judged):
        lines += ["", f"## {title}", "", *(f"- {remark}" for remark in remarks)]
    return "\n".join(lines) + "\n"


def as_html(judged: Sequence[Judged]) -> str:
    """The whole report as one HTML page that needs no other file."""
    escape = html.escape
    heads = "".join(f"<th>{escape(each.title)}</th>" for each in judged)
    body = []
    for row, results in _rows(judged):
        cells = "".join(
            f'<td class="{_verdict(result).replace("/", "")}">{_verdict(result)}</td>' for result in results
        )
        body.append(f"<tr><td>{row.id}</td><td>{row.level}</td><td>{escape(row.statement)}</td>{cells}</tr>")
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>DHCP leasequery: conformance</title>',
        f"<style>{_STYLE}</style><h1>DHCP leasequery: conformance</h1><p>{escape(_INTRODUCTION)}</p><ul>",
        *(f"<li>{escape(_summary(each))}</li>" for each in judged),
        f"</ul><table><tr><th>row</th><th>level</th><th>rule</th>{heads}</tr>",
        *body,
        "</table>",
    ]
    for title, remarks in _remarks(judged):
        parts += [
            f"<h2>{escape(title)}</h2><dl>",
            *(f"<dd>{escape(remark)}</dd>" for remark in remarks),
            "</dl>",
        ]
    return "\n".join([*parts, "</html>"]) + "\n"


_FORMS = {".html": as_html, ".htm": as_html, ".md": markdown}


def check_path(path: Path) -> None:
    """Raise BadInput, before the work is done, if the name tells no form or the directory is missing."""
    if path.suffix.lower() not in _FORMS:
        raise BadInput(f"{path}: a report is a .html or a .md file")
    if not os.path.isdir(path.absolute().parent):
        raise BadInput(f"cannot write the report {path}: make its directory first")
    if files.exists(path) and not path.is_file():
        raise BadInput(f"cannot write the report {path}: it is there, and no file")


def write(judged: Sequence[Judged], path: Path) -> None:
    """Write the report in the form that the name's ending says. Raises BadInput."""
    check_path(path)
    files.write(path, _FORMS[path.suffix.lower()](judged).encode(errors="backslashreplace"))
