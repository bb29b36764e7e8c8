"""How Sphinx makes the site (`make docs`). Its source directory is the whole repository.

So a link from one file of the tree to another is the same on the site and where the repository is read.
Nothing on the site is fetched from elsewhere: no fonts, no scripts.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer

import lq

project = "leasequery-lab"
author = "The leasequery-lab developers"
version = release = lq.__version__

NAVIGATION = {
    "Begin": ["docs/install", "docs/containers", "docs/kernel", "docs/limits", "docs/commands"],
    "Experiments": [
        "docs/experiments",
        "docs/data",
        "docs/validity",
        "docs/networks",
        "docs/traffic",
        "docs/concentrator",
        "docs/sweeps",
        "docs/reporting",
        "docs/foreign-files",
        "docs/gallery/README",
        "docs/reports/README",
    ],
    "Scenarios": ["docs/scenarios/*"],
    "Live": ["docs/live-lab", "docs/live-picture"],
    "Notebooks": ["docs/notebooks", "docs/teaching", "notebooks/*", "notebooks/solutions/*"],
    "Servers": ["docs/server", "docs/asking", "docs/differences", "docs/conformance"],
    "Inside": [
        "docs/architecture",
        "docs/backoff",
        "docs/*",
        "CONTRIBUTING",
        "CHANGELOG",
    ],
}
"""The pages by the captions over them. A star stands for all that fit it and that no other entry names."""

extensions = ["myst_nb", "sphinx.ext.autodoc"]
root_doc = "README"
include_patterns = ["*.md", "docs/**", "notebooks/**"]
exclude_patterns = ["**/.ipynb_checkpoints"]
default_role = "code"  # docstrings have their code in single quotes

myst_heading_anchors = 4
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # the still pictures stand in for widgets
autodoc_member_order = "bysource"

html_theme = "furo"
html_title = project
html_extra_path = ["site"]
html_copy_source = False
html_show_copyright = False


def pages(root: Path) -> dict[str, list[str]]:
    """Return the pages that stand below each caption."""
    taken: set[Path] = set()
    found: dict[str, list[str]] = {}
    named = {root / f"{entry}.md" for entries in NAVIGATION.values() for entry in entries}
    for caption, entries in NAVIGATION.items():
        found[caption] = []
        for entry in entries:
            fits = {path for kind in ("md", "ipynb") for path in root.glob(f"{entry}.{kind}")} - taken
            if "*" in entry:
                fits -= named
            taken |= fits
            found[caption] += [str(path.relative_to(root).with_suffix("")) for path in sorted(fits)]
    return found


def _navigation() -> str:
    parts = []
    for caption, names in pages(Path(__file__).resolve().parents[1]).items():
        entries = "\n".join(f"/{name}" for name in names)
        parts.append(f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n```\n")
    return "".join(parts)


def _prepared(_app: object, name: str, source: list[str]) -> None:
    """Add the navigation to the first page. A link to a directory becomes text: it has no page."""
    if name == root_doc:
        source[0] += _navigation()
    if not name.startswith("notebooks/"):
        source[0] = re.sub(r"\[([^\]]+)\]\([^)#]+/\)", r"\1", source[0])


def setup(app: Any) -> None:
    """Have Sphinx call us for each page that it reads, and take diagrams in mermaid as text."""
    app.connect("source-read", _prepared)
    app.add_lexer("mermaid", TextLexer)
