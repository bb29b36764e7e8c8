"""The architecture in figures: the floors, and who imports whom, also for types and inside functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FLOORS: list[set[str]] = [
    {
        "lq.clocks",
        "lq.copies",
        "lq.errors",
        "lq.files",
        "lq.figures",
        "lq.headings",
        "lq.progress",
        "lq.stdio",
        "lq.yaml_file",
        "lq.wire",
        "lq.sandbox",
    },
    {"lq.server", "lq.concentrator", "lq.conformance", "lq.requirements", "topologies"},
    {"lq.simulation", "controllers"},
    {"lq.results", "lq.scenarios", "lq.emulation", "lq.experiments", "lq.bench"},
    {"lq.plots", "lq.reports", "lq.drawing", "lq.doctor", "lq.live", "lq.widget"},
    {"lq.cli", "lq.__main__"},
]
"""From the ground up: a package or module imports nothing from a floor above its own."""


def sources(*tops: str) -> dict[str, Path]:
    """Return the modules below these directories, by name; a package is its `__init__`."""
    found = (path for top in tops for path in sorted((ROOT / top).rglob("*.py")))
    return {module_name(path): path for path in found}


def module_name(path: Path) -> str:
    """Return what a file is imported as."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Yield what a file imports, wherever in it: the module, and the name from it, empty for none."""
    parent = list(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = parent[: len(parent) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((module, alias.name) for alias in node.names)


def imports(path: Path) -> set[str]:
    """Return what a file imports, as dotted names."""
    return {f"{module}.{name}" if name else module for module, name in imported(path)}


def graph(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return which of the modules each one imports. One from a package is not the package itself."""
    edges: dict[str, set[str]] = {}
    for own, path in modules.items():
        edges[own] = set()
        for module, name in imported(path):
            found = f"{module}.{name}" if f"{module}.{name}" in modules else module
            if found in modules and found != own:
                edges[own].add(found)
    return edges


def circles(edges: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the sets of modules that all lead to each other (Tarjan's strongly connected components)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for other in sorted(edges[module]):
            if other not in order:
                visit(other)
            if other in stack:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == order[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in edges:
        if module not in order:
            visit(module)
    return sorted(found)


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each function of a file and how many lines it has, its docstring left out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            yield node.name, (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
