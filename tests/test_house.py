"""Rules of the house: one name for one thing, helpers apart from tests, tests that can fail."""

from __future__ import annotations

import ast
from collections import defaultdict

import pytest

from tests.layers import ROOT, imports, sources

SOURCES = sources("lq", "topologies", "controllers")
TESTS = sources("tests")
TREES = {name: ast.parse(path.read_text()) for name, path in TESTS.items()}

# What still bears a name that something else bears, too, and why it may. The list only becomes shorter.
SPEC = "a group of the specification is named after what it configures: its class is the group's key"
PARTS = "the program in the lab, and the part outside it that starts it and reads it"
PROTOCOL = "either end of the protocol calls it so (RFC 2131, RFC 4388)"
CLASSES = {
    "Agent": "the relay agent as the server knows it, and the one in the network",
    "Arp": SPEC,
    "Attack": SPEC,
    "Binding": PROTOCOL,
    "Capture": SPEC,
    "Client": PROTOCOL,
    "Column": "of a run's table, and of a table in a report",
    "Clock": "wall time that never goes back, and virtual time",
    "Concentrator": SPEC,
    "Identity": "of a client, and of a node",
    "Job": "a command as its user sees it, and as the lab carries it out",
    "Leases": "of a configuration, and of an imported file",
    "Link": "of the server's configuration, and in virtual time",
    "Modem": "as the controller knows it, and as a node",
    "Modems": SPEC,
    "Places": "where a client may be, and where a packet may come from",
    "Reader": "of rows, and of an answer",
    "State": "of a binding, and of a client (RFC 2131, figure 5)",
    "Subscriber": "a node, and an attacker's victim",
    "Template": "of a message, and of a message of OpenFlow",
    "Trial": "of an attack, and of a row of the conformance suite",
    "Wan": SPEC,
    "World": "virtual time, and what a forger knows",
    "_Ended": "the signal by which each program of the lab ends",
}
BENCHMARK = "a benchmark's module bears the name that `lq bench` takes"
MODULES = {
    "access": "addresses of access networks, and the networks",
    "adversaries": "the scenarios, and their figures",
    "agent": "the relay agent as the server knows it, and the one in the network",
    "arp": "the engine's mode, and the scenario",
    "backoff": "the engine's back-off, and the scenario that watches it",
    "bindings": PROTOCOL,
    "clock": "wall time that never goes back, and virtual time",
    "config": "of the server, and of the concentrator",
    "flood": BENCHMARK,
    "hosts": PARTS,
    "lab": BENCHMARK,
    "network": "what a scenario may do to it, and the nodes and links of it",
    "node": "as a user of the live lab sees it, and as Mininet does",
    "probes": PARTS,
    "query": PROTOCOL,
    "record": "what the controller writes, and what a run reads",
    "registration": "the message of a modem, and the modem that sends it",
    "rows": "of the server's database, and of the conformance suite",
    "schema": "of the server's database, and of a run's tables",
    "server": BENCHMARK,
    "sweep": "the command, and what it does",
    "wan": PARTS,
}


COLLECTIONS = {"set", "frozenset", "sorted", "list", "len", "dict", "tuple"}


def several(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: places for name, places in found.items() if len(places) > 1}


def classes() -> dict[str, list[str]]:
    """Return where each class is defined."""
    found = defaultdict(list)
    for module, path in SOURCES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(module)
    return found


def modules() -> dict[str, list[str]]:
    """Return which modules have each last part of a name."""
    found = defaultdict(list)
    for module, path in SOURCES.items():
        if path.name not in ("__init__.py", "__main__.py"):
            found[path.stem].append(module)
    return found


@pytest.mark.parametrize(
    ("found", "known"), [(classes, CLASSES), (modules, MODULES)], ids=["class", "module"]
)
def test_no_name_stands_for_two_things(found, known):
    twice = several(found())
    assert {name: places for name, places in twice.items() if name not in known} == {}
    assert known.keys() - twice.keys() == set(), "no longer twice: take it off the list"


def test_no_test_module_imports_another():
    taken = {
        f"{name} imports {each}"
        for name, path in TESTS.items()
        for each in imports(path)
        if any(part.startswith("test_") for part in each.split("."))
    }
    assert taken == set()


def always_true(test: ast.expr) -> bool:
    """Whether an asserted expression holds whatever the code does, as far as its form tells."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return any(map(always_true, test.values))
    if isinstance(test, ast.BoolOp):
        return any(map(always_true, test.values))  # a part that says nothing
    if isinstance(test, ast.Constant | ast.JoinedStr | ast.List | ast.Tuple | ast.Dict | ast.GeneratorExp):
        return not isinstance(test, ast.Constant) or bool(test.value)
    if not isinstance(test, ast.Compare):
        return False
    sides = [test.left, *test.comparators]
    return any(_says_nothing(*each) for each in zip(sides, test.ops, sides[1:], strict=False))


def _says_nothing(left: ast.expr, how: ast.cmpop, right: ast.expr) -> bool:
    same = ast.dump(left) == ast.dump(right) and not any(
        isinstance(node, ast.Call) and not _is_collecting(node) for node in ast.walk(left)
    )
    counts = isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and left.func.id == "len"
    zero = isinstance(right, ast.Constant) and right.value == 0
    reflexive = isinstance(how, ast.Eq | ast.LtE | ast.GtE | ast.Is)
    return (same and reflexive) or (counts and zero and isinstance(how, ast.GtE))


def _is_collecting(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in {
        "set",
        "sorted",
        "list",
        "len",
        "dict",
        "tuple",
    }


def test_no_assertion_is_true_by_its_form():
    found = [
        f"{name}:{node.lineno}: {ast.unparse(node)}"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert) and always_true(node.test)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "always"),
    [
        ("found or True", True),
        ("found and len(found) >= 0", True),
        ("len(found) >= 0", True),
        ("len(found) >= 1", False),
        ("set(found) == set(found)", True),
        ("set(found) == set(other)", False),
        ("found.x <= found.x < 3", True),
        ("(found, 'why')", True),
        ("f'{found}'", True),
        ("[found]", True),
        ("made(1) == made(1)", False),  # twice the same: that may well fail
        ("found", False),
        ("0 <= found < 3", False),
    ],
)
def test_what_is_true_by_its_form_is_seen(text, always):
    assert always_true(ast.parse(text, mode="eval").body) is always


def test_each_test_is_collected():
    """No function is named as a test within another, none stands twice in a module, and helpers are none."""
    for name, tree in TREES.items():
        own = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        assert len(own) == len(set(own)), f"{name} defines a function twice"
        if not TESTS[name].name.startswith("test_"):
            assert not [each for each in own if each.startswith("test_")], f"{name} is not collected"


def test_the_tree_is_where_it_is_looked_for():
    assert len(TESTS) > 150
    assert ROOT.joinpath("tests/test_house.py").exists()
