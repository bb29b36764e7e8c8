"""Reports: a file to hand in or to attach, made from finished runs and sweeps.

`write` makes one HTML file that needs nothing else, `compare` holds runs against each other. What a run's
directory holds may be anybody's: all is escaped, bounded, and no script can run in the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lq import files
from lq.errors import BadInput
from lq.reports import sections, single, swept
from lq.reports.compared import Comparison, compare
from lq.reports.page import Markup, tag, whole_page
from lq.results.finished_run import Run

__all__ = ["Comparison", "compare", "is_sweep", "made", "write"]

MOST_SECTIONS = 100
NAME = "report.html"


def write(directories: Sequence[Path | str], path: Path | str | None = None) -> Path:
    """Write a report of runs and sweeps, by their directories, and return its path.

    If `path` is not given, it is `report.html` in the directory itself where there is one, else in the
    present one. The file is there whole or not at all. Raises BadInput.
    """
    found = [Path(directory) for directory in directories]
    content = made(found)
    if path is None and len(found) == 1:
        return files.Tree(found[0]).write(NAME, content)
    target = Path(NAME if path is None else path)
    files.write(target, content)
    return target


def made(directories: Sequence[Path]) -> bytes:
    """Return the report as the octets of a file."""
    if not 0 < len(directories) <= MOST_SECTIONS:
        raise BadInput(f"a report takes 1 to {MOST_SECTIONS} runs and sweeps (got {len(directories)})")
    several = len(directories) > 1
    titles = [_title(directory) for directory in directories]
    heading = "Report of several runs" if several else f"Report: {titles[0]}"
    parts: list[str] = [tag("h1", heading)]
    if several:
        entries = [
            tag("li", tag("a", title, href=f"#{sections.anchor(number)}"))
            for number, title in enumerate(titles, start=1)
        ]
        parts.append(tag("nav", tag("ol", *entries), aria_label="Contents"))
    for number, directory in enumerate(directories, start=1):
        parts.append(_section(directory, number, several))
    return whole_page(heading, *parts)


def is_sweep(directory: Path) -> bool:
    """Whether a directory is a sweep's and not a run's."""
    return files.exists(directory / "table.parquet")


def _title(directory: Path) -> str:
    return swept.title(directory) if is_sweep(directory) else single.title(Run(directory))


def _section(directory: Path, number: int, several: bool) -> Markup:
    if is_sweep(directory):
        return swept.section(directory, number, several=several)
    return single.section(Run(directory), number, several=several)
