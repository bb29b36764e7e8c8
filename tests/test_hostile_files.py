"""Hostile and damaged files through the real command line: one line, exit status 2, bounded work.

Every command runs with bounds on its memory and its processor time: what blows up or hangs fails the test,
and not the machine.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lq import plots
from lq.errors import BadInput
from lq.experiments import run as running
from lq.experiments import sweep as sweeping
from lq.experiments.sweep import sweep
from lq.results import finished_run
from lq.results.finished_run import Run
from lq.results.finished_sweep import PLAN, Sweep, plan_of
from tests import support
from tests.written import write_run

MEMORY = 2 << 30  # octets of address space, most of which is never used
PROCESSOR = 60  # seconds; the slowest case takes some 5


def play(*arguments, cwd=None, memory=MEMORY):
    """Run `lq`, its memory and time bounded."""

    def bound():
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR, PROCESSOR))

    return subprocess.run(
        [*support.LQ, *map(os.fsencode, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(support.ROOT), "OPENBLAS_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=600,
        preexec_fn=bound,
        check=False,
    )


def refused(*arguments, says=(), **how):
    """Run `lq`, see that it refuses in one line that has these words, and return the line."""
    done = play(*arguments, **how)
    line = done.stderr.decode()
    assert done.returncode == 2, line[-2000:]
    assert done.stdout == b""
    assert line.count("\n") == 1, line[-2000:]
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert len(line) < 1100
    for words in (says,) if isinstance(says, str) else says:
        assert words in line, line
    return line


LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
HOSTILE = {
    "aliases that multiply": (LAUGHS.encode(), ":6: too many values"),
    "merges that multiply": (
        b"a0: &a0 {x: 1}\n" + b"".join(b"a%d: &a%d {<<: *a%d, b: *a%d}\n" % (n, n, n - 1, n - 1)
                                       for n in range(1, 99)),
        "too many values",
    ),
    "an alias of itself": (b"a: &a [*a]\n", ":1: *a stands for nothing"),
    "a million lists": (b"a: [" + b"[]," * 2_500_000 + b"]", "too many values"),
    "a million keys": (b"".join(b"k%d:\n" % n for n in range(900_000)), ":1001: too many keys"),
    "deep lists": (b"seed: " + b"[" * 1_000_000, ":1: nested too deeply"),
    "deep mappings": (b"{a: " * 500_000, ":1: nested too deeply"),
    "hexadecimal": (b"seed: 0x" + b"f" * 6000, ":1: a number of 6,002 characters"),
    "decimal": (b"seed: " + b"9" * 6000, ":1: a number of 6,000 characters"),
    "base sixty": (b"seed: " + b"1:" * 4000 + b"1", None),
    "text": (b"seed: " + b"x" * 3_000_000, ":1: text of 3,000,000 characters"),
    "a tag": (b"seed: !!int x", ":1: 'x' does not fit the tag !!int"),
    "a binary tag": (b"seed: !!binary x", "'!!binary' is not known here"),
    "an object": (b"seed: !!python/object/apply:os.system [touch hacked]", "is not known here"),
    "twice": (b"seed: 1\nport: 1\nseed: 2\n", ":3: 'seed' is there twice"),
    "twice within": (b"server:\n  kind: a\n  kind: b\n", ":3: 'kind' is there twice"),
    "octal": (b"seed: 010", ":1: 010 is one number to some"),
    "infinity": (b"seed: .inf", ":1: .inf is no number"),
    "not a number": (b"seed: .nan", ":1: .nan is no number"),
    "beyond all numbers": (b"seed: 1e999", ":1: 1e999 is larger"),
    "NUL": (b"seed: 1\nport: \0\n", ":2: the character U+0000"),
    "NUL in disguise": (b'database: "a\\0b"', ":1: the character U+0000"),
    "escapes": (b"# \x1b[2J", ":1: the character U+001B"),
    "Latin-1": (b"seed: 1\n# caf\xe9\n", ":2: not UTF-8 text"),
    "UTF-16": ("seed: 1".encode("utf-16"), ":1: this is UTF-16 text"),
    "two documents": (b"seed: 1\n---\nseed: 2\n", ":2: a second document"),
    "a list": (b"- 1\n", None),
    "nothing": (b"", None),
    "a directive": (b"%YAML 9.9\n---\nseed: 1", None),
    "garbage": (bytes(range(256)) * 100, "has no place|not UTF-8"),
    "a colon too many": (b"seed: 1: 2", ":1: not valid YAML"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "words"), HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("command", [["run"], ["serve"]], ids=lambda command: command[0])
def test_yaml(tmp_path, command, content, words):
    path = tmp_path / "hostile.yaml"
    path.write_bytes(content)
    line = refused(*command, path, cwd=tmp_path)
    assert "hostile.yaml:" in line
    assert words is None or any(each in line for each in words.split("|")), line
    assert os.listdir(tmp_path) == ["hostile.yaml"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("scenario: reboot\nseed: 9223372036854775808\n", [":2: seed:", "9223372036854775807"]),
        ("seed: 18446744073709551616\n", [":1: seed:"]),
        ("seed: true\n", [":1: seed: true is no value"]),
        ("seed: 1e300\n", [":1: seed:"]),
        ("\nwan:\n  delay: 0.1\n  jitter: 'nan'\n", [":4: wan.jitter:", "finite"]),
        ("wan: {delay: '1e999'}\n", [":1: wan.delay:"]),
        ("wan: 3\n", [":1: wan:"]),
        ("scenario: 2001-01-01\n", [":1: scenario:"]),
        ("wan: {loss: yes}\n", [":1: wan.loss:"]),
        ("topology: {modems: 2, figure: off}\n", [":1: topology.figure:"]),
        ("wan: {dealy: 1}\n", [":1: unknown key 'wan.dealy': did you mean 'wan.delay'?"]),
        ("concentrator: {circuit_queries: 99999999999999999999}\n", [":1: concentrator.circuit_queries:"]),
        ("capture:\n  nodes: [" + "x," * 100_000 + "]\n", [":2: capture.nodes:", "at most 8"]),
        ("wan: &w {delay: .1}\nserver: *w\n", [":2: unknown key 'server.delay'"]),
    ],
)
def test_values_of_a_specification(tmp_path, content, says):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    refused("run", path, says=["mine.yaml", *says])


BASE = """listen: 127.0.0.1
port: 6767
database: bindings.sqlite
subnets: [{network: 198.18.0.0/16, pools: [198.18.0.10-198.18.0.20]}]
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("port: 6767", "port: true", [":2: port: true is no value"]),
        ("port: 6767", "port: 99999999999999999999", [":2: port:"]),
        ("port: 6767", "service_time: 'nan'", [":2: service_time:"]),
        ("bindings.sqlite", '"a\\0b"', [":3: the character U+0000"]),
        ("bindings.sqlite", "x" * 5000, ["xxx"]),
        ("bindings.sqlite", ".", ["cannot write .: it is a directory"]),
        ("bindings.sqlite", "missing/b", ["missing/b"]),
        ("port: 6767", "interface: " + "x" * 200, ["127.0.0.1:67"]),
        ("subnets: [", "subnets: [" + "{}," * 300_000, [":4: subnets.0.network: this key is missing"]),
        ("subnets: [", "subnets: [" + "{a: 1, b: 2}," * 100_000, [":4: subnets.0."]),
        ("subnets", "reservations: [" + "x," * 900_000 + "]\nsubnets", [":4: reservations.0:"]),
        ("subnets", "options: {3: 198.18.0.1, routers: 198.18.0.2}\nsubnets", [":4: options: option 3 is"]),
        ("subnets", "options: {43: {a: b}}\nsubnets", [":4: options: option 43: expected text"]),
        ("subnets", "options: {domain-name: " + "x" * 9999 + "}\nlease_time: 0\nsubnets", [":5: lease_time"]),
    ],
    ids=lambda value: str(value)[:24],
)
def test_values_of_a_configuration(tmp_path, old, new, says):
    path = tmp_path / "server.yaml"
    assert old in BASE
    path.write_text(BASE.replace(old, new))
    refused("serve", path, says=says, cwd=tmp_path)


def test_many_subnets_and_reservations_take_no_longer_than_there_are(tmp_path):
    """Each reservation is looked for among the subnets, and is in none of them in the end."""
    subnets = "".join(
        f"- {{network: 10.{n >> 16}.{n >> 8 & 255}.{n & 255}/32}}\n" for n in range(0, 100_000, 2)
    )
    taken = "".join(
        f"- {{address: 10.{n >> 16}.{n >> 8 & 255}.{n & 255}, client_id: a}}\n" for n in range(0, 100_000, 2)
    )
    path = tmp_path / "server.yaml"
    path.write_text(
        f"listen: 127.0.0.1\ndatabase: b\nsubnets:\n{subnets}reservations:\n{taken}"
        "- {address: 10.0.0.1, client_id: a}\n"
    )
    refused("serve", path, says="reservation 10.0.0.1 lies in no subnet", cwd=tmp_path)


@pytest.fixture
def odd(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "directory.yaml").mkdir()
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    with (tmp_path / "huge.yaml").open("wb") as file:
        file.truncate(1 << 40)
    (tmp_path / "server.yaml").write_text(BASE)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pipe.yaml", "it is a pipe"),
        ("directory.yaml", "it is a directory"),
        ("zero.yaml", "it is a device"),
        ("loop.yaml", "symbolic links"),
        ("huge.yaml", "larger than 8,388,608 octets"),
        ("x" * 300 + ".yaml", "too long"),
        ("\udcff\n\x1b.yaml", "No such file"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_what_is_no_file(odd, name, words):
    for command in (["run", name], ["serve", name], ["sweep", name, "--grid", "seed=1", "--out", "new"]):
        refused(*command, says=words, cwd=odd)
    lease_file = words.replace("8,388,608", "268,435,456")
    refused("serve", "server.yaml", "--import-leases", name, says=lease_file, cwd=odd)
    assert not (odd / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "reboot", "--seed", str(2**64)], "seed"),
        (["run", "reboot", "--seed", "9" * 5000], "seed"),
        (["run", "reboot", "--set", f"seed={'9' * 5000}"], "a number of 5,000 characters"),
        (["run", "reboot", "--set", f"seed=0x{'f' * 6000}"], "a number of 6,002 characters"),
        (["run", "reboot", "--set", "seed=!!int x"], "does not fit the tag"),
        (["run", "reboot", "--set", "seed=&a [*a]"], "stands for nothing"),
        (["run", "reboot", "--set", "seed=" + "[" * 100_000], "nested too deeply"),
        (["run", "reboot", "--set", "wan.delay=.nan"], ".nan is no number"),
        (["run", "reboot", "--set", "wan.delay='nan'"], "finite"),
        (["run", "reboot", "--set", "seed={a: 1, a: 2}"], "is there twice"),
        (["run", "reboot", "--set", "seed=true"], "true is no value"),
        (["run", "reboot", "--set", "seed=010"], "leave out the zeros"),
        (["run", "reboot", "--set", "a" + ".a" * 60_000 + "=1"], "unknown key"),
        (["run", "reboot", "--set", "topology" + ".a" * 60_000 + "=1"], "topology.a"),
        (["run", "reboot", "--set", "\udcff=1"], "unicode"),
        (["run", "\udcff"], "unknown scenario '\\udcff'"),
        (["run", "reboot", "--out", "x" * 300], "too long"),
        (["run", "reboot", "--out", "/dev/null"], "cannot write to /dev/null"),
        (["plot", "x" * 5000], "not the directory of a finished run"),
        (["plot", "\udcff\x1b"], "\\udcff"),
        (["lab", "x" * 5000], "too long"),
        (["show", "cable", "--out", "missing/x.png"], "--out"),
        (["sweep", "reboot", "--grid", "wan.delay=0", "--repeat", "999999999999"], "10,000 runs"),
        (["sweep", "reboot", "--grid", f"wan.limit={','.join('1' * 200)}", "--grid",
          f"seed={','.join('1' * 200)}"], "10,000 runs"),
        (["sweep", "reboot", "--grid", "wan.delay=0", "--seed", str(2**63 - 1), "--repeat", "2"], "seeds"),
        (["query", "127.0.0.1", "--giaddr", "127.0.0.1", "--address", "\udcff"], "\\udcff"),
        (["query", "127.0.0.1", "--giaddr", "127.0.0.1", "--mac", "0" * 100_000], "1 to 16 octets"),
        (["query", "127.0.0.1", "--giaddr", "127.0.0.1", "--client-id", "x" * 100_000, "--port", "6768"],
         "cannot ask"),
        (["query", "127.0.0.1", "--giaddr", "127.0.0.1", "--mac", "1", "--timeout", "inf"], "timeout"),
        (["query", "127.0.0.1", "--giaddr", "127.0.0.1", "--mac", "1", "--timeout", "nan"], "timeout"),
        (["query", "127.0.0.1", "--giaddr", "127.0.0.1", "--mac", "1", "--timeout", "1e300"], "timeout"),
        (["conform", "--server", "127.0.0.1", "--silence", "1e300"], "silence"),
        (["conform", "--server", "\udcff"], "\\udcff"),
        (["conform", "--peer", "builtin", "--report", "pipe.md"], "pipe.md"),
    ],
    ids=lambda value: ascii(value)[:50],
)  # fmt: skip
def test_arguments(tmp_path, arguments, words):
    os.mkfifo(tmp_path / "pipe.md")
    refused(*arguments, says=words, cwd=tmp_path)
    assert os.listdir(tmp_path) == ["pipe.md"]


# -- runs


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("good") / "run", back=[0.0, 0.2, 0.4], resent=1).directory


@pytest.fixture
def damaged(good, tmp_path):
    """A copy of a good run, to be damaged."""
    return shutil.copytree(good, tmp_path / "run")


DEEP = b'{"a":' * 100_000
TOO_MANY_ROWS = 300_000_000


def edited(**changes):
    def edit(path):
        summary = {**json.loads(path.read_bytes()), **changes}
        path.write_text(json.dumps(summary))

    return edit


def holding(content):
    return lambda path: path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def flipped(path):
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2 :: 7] = bytes(len(octets[len(octets) // 2 :: 7]))
    path.write_bytes(octets)


def made_pipe(path):
    path.unlink()
    os.mkfifo(path)


def made_directory(path):
    shutil.copy(path, path.with_suffix(".kept"))
    path.unlink()
    path.mkdir()
    path.with_suffix(".kept").rename(path / "part.parquet")


def endless(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def huge(path):
    with path.open("ab") as file:
        file.truncate(1 << 43)


def many_rows(path):
    pq.write_table(pa.table({"at": pa.nulls(TOO_MANY_ROWS)}), path)


def long_text(path):
    names = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), pa.array(["x" * 4_000_000]))
    pq.write_table(pa.table({"subscriber": names}), path, store_schema=False)


DAMAGE = [
    ("summary.json", holding(b"")),
    ("summary.json", holding(b"[]")),
    ("summary.json", holding(DEEP)),
    ("summary.json", holding(b'{"outage_s": ' + b"9" * 5000 + b"}")),
    ("summary.json", cut),
    ("summary.json", huge),
    ("summary.json", endless),
    ("summary.json", made_pipe),
    ("summary.json", made_directory),
    ("summary.json", edited(outage_s=None)),
    ("summary.json", edited(outage_s=float("nan"))),
    ("summary.json", edited(outage_s=1e300)),
    ("summary.json", edited(outage_s=True)),
    ("summary.json", edited(valid=None)),
    ("summary.json", edited(invalid_reasons="x")),
    ("summary.json", edited(invalid_reasons=[1])),
    ("summary.json", edited(recovered={"a": 1})),
    ("summary.json", edited(seed=2**64)),
    ("spec.yaml", holding(b"")),
    ("spec.yaml", holding(LAUGHS.encode())),
    ("spec.yaml", holding(b"\xff\xfe")),
    ("spec.yaml", holding(b"seed: x")),
    ("spec.yaml", made_pipe),
    ("spec.yaml", lambda path: path.unlink()),
    *((f"{name}.parquet", how) for name in ("probes", "queries", "phases") for how in (cut, flipped)),
    ("probes.parquet", holding(b"")),
    ("probes.parquet", holding(b"PAR1")),
    ("probes.parquet", holding(b"PAR1" + b"\xff" * 100 + b"PAR1")),
    ("probes.parquet", huge),
    ("probes.parquet", endless),
    ("probes.parquet", made_pipe),
    ("probes.parquet", made_directory),
    ("probes.parquet", many_rows),
    ("probes.parquet", long_text),
    ("probes.parquet", lambda path: path.unlink()),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGE)
def test_a_damaged_run_names_the_file(damaged, name, damage):
    damage(damaged / name)
    with pytest.raises(BadInput, match=name) as caught:
        plots.save(Run(damaged))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("number", range(0, len(DAMAGE), 5))
def test_a_damaged_run_names_the_file_on_the_command_line(damaged, number):
    name, damage = DAMAGE[number]
    damage(damaged / name)
    refused("plot", damaged, says=name, memory=6 << 30)  # libraries map much that they never use


@pytest.mark.parametrize("name", ["probes", "queries", "phases"])
def test_every_column_that_is_drawn_is_looked_at(good, tmp_path, name):
    """Each of them missing, of text instead of numbers, of numbers instead of text, without its values."""
    whole = pd.read_parquet(good / f"{name}.parquet")
    for column in finished_run.tables.COLUMNS[name]:
        kind = finished_run.tables.COLUMNS[name][column]
        other = 1.5 if kind.startswith("text") else "x"
        broken = [whole.drop(columns=column), whole.assign(**{column: other})]
        if not kind.endswith("?"):
            broken.append(whole.assign(**{column: None}))
        if kind.startswith(("number", "time")):
            broken += [whole.assign(**{column: value}) for value in (np.inf, -1e300, True)]
        for number, table in enumerate(broken):
            directory = shutil.copytree(good, tmp_path / f"{column}{number}")
            table.to_parquet(directory / f"{name}.parquet")
            with pytest.raises(BadInput, match=f"{name}.parquet is damaged.*{column}"):
                plots.save(Run(directory))


@pytest.mark.parametrize("phases", [0, 1001])
def test_a_run_has_phases_and_not_too_many(damaged, phases):
    path = damaged / "phases.parquet"
    whole = pd.read_parquet(path)
    pd.concat([whole.iloc[:0], *[whole] * phases]).to_parquet(path)
    with pytest.raises(BadInput, match=r"phases\.parquet is damaged"):
        plots.save(Run(damaged))


def test_without_probes_there_is_nothing_to_draw(damaged):
    path = damaged / "probes.parquet"
    pd.read_parquet(path).iloc[:0].to_parquet(path)
    with pytest.raises(BadInput, match="no probe was sent"):
        plots.save(Run(damaged))


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("probes", "received", 0.0),
        ("probes", "due", -1e7),
        ("queries", "at", -1e7),
        ("queries", "at", 1e7),
        ("queries", "reply", "\n\x1b"),
        ("phases", "start", -1e7),
        ("phases", "ready", 1e7),
        ("phases", "end", -1e7),
        ("phases", "phase", "x" * 10_000),
    ],
)
def test_odd_values_are_drawn_all_the_same(damaged, name, column, value):
    path = damaged / f"{name}.parquet"
    pd.read_parquet(path).assign(**{column: value}).to_parquet(path)
    assert plots.save(Run(damaged))


def test_a_server_that_the_run_did_not_have_is_named(damaged):
    path = damaged / "queries.parquet"
    pd.read_parquet(path).assign(server="x").to_parquet(path)
    with pytest.raises(BadInput, match=r"queries\.parquet is damaged: the run does not have a server"):
        plots.save(Run(damaged))


def test_a_damaged_manifest_names_the_file(damaged):
    (damaged / "manifest.json").write_bytes(DEEP)
    with pytest.raises(BadInput, match=r"manifest\.json is damaged"):
        _ = Run(damaged).manifest


def test_names_in_dollars_are_no_formulas(damaged):
    for name, column in (("probes", "subscriber"), ("phases", "phase")):
        table = pd.read_parquet(damaged / f"{name}.parquet")
        table[column] = "$\\frac{$" + table[column] + "$x_{$"
        table.to_parquet(damaged / f"{name}.parquet")
    assert len(plots.save(Run(damaged))) == 10


# -- sweeps, and links that lead out of directories

SWEPT = Sweep("reboot", {}, {"wan.delay": [0, 0.1]})


@pytest.fixture
def outside(tmp_path):
    """What is elsewhere, and stays as it is whatever is done to a directory with links to it."""
    precious = tmp_path / "outside"
    (precious / "0001-1").mkdir(parents=True)
    for name in ("file", "0001-1/file", "recovery.png"):
        (precious / name).write_text("precious")

    def listed():
        return {str(path.relative_to(precious)): path.stat().st_mtime_ns for path in precious.rglob("*")}

    before = listed()
    yield precious
    assert listed() == before
    assert all((precious / name).read_text() == "precious" for name in ("file", "0001-1/file"))


@pytest.fixture
def swept(tmp_path):
    """A sweep's directory, as an interruption left it: nothing has finished."""
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / PLAN).write_bytes(plan_of(SWEPT.points()))
    return tmp_path / "sweep"


def resume(directory):
    return ["sweep", "reboot", "--grid", "wan.delay=0,0.1", "--out", directory, "--workers", "1"]


def test_a_sweep_whose_runs_are_a_link_is_refused(swept, outside):
    (swept / "runs").symlink_to(outside)
    refused(*resume(swept), says=["runs is a link", "nothing is written through links"], memory=6 << 30)


@pytest.fixture
def failing(monkeypatch):
    """Runs that fail at once, and leave a file."""

    def fail(spec, directory, _progress, opened):
        directory.mkdir(parents=True)
        (directory / "trace").write_text("left")
        raise running.RunFailed("no such luck")

    monkeypatch.setattr(sweeping, "run", fail)


def test_a_run_that_is_a_link_is_taken_away_and_not_what_it_leads_to(swept, outside, failing):
    (swept / "runs").mkdir()
    (swept / "runs/0001-1").symlink_to(outside)
    (swept / "runs/0002-1").symlink_to(outside / "0001-1")
    assert len(sweep(SWEPT, swept).failures) == 2
    assert (swept / "failed/0001-1/trace").read_text() == "left"


def test_a_directory_of_failures_that_is_a_link_is_refused(swept, outside, failing):
    (swept / "failed").symlink_to(outside)
    with pytest.raises(BadInput, match="failed is a link"):
        sweep(SWEPT, swept)


@pytest.mark.parametrize(
    "name",
    ["going", "table.parquet", "table.parquet.part", "failed/0001-1", "failed/0002-1", "runs/0001-1/x"],
)
@pytest.mark.parametrize("target", ["file", "0001-1", "new"])
def test_other_links_in_a_sweep_lead_nowhere(swept, outside, failing, name, target):
    (swept / name).parent.mkdir(parents=True, exist_ok=True)
    (swept / name).symlink_to(outside / target)
    if target == "0001-1" and name in ("going", "table.parquet"):
        with pytest.raises(BadInput, match=f"{name}: it is a directory"):
            sweep(SWEPT, swept)
    else:
        assert len(sweep(SWEPT, swept).failures) == 2
        assert (swept / "failed/0001-1/error.txt").read_text() == "no such luck\n"


@pytest.mark.parametrize("how", [made_pipe, endless, huge])
def test_a_plan_that_cannot_be_read_is_named(swept, how):
    how(swept / "sweep.yaml")
    with pytest.raises(BadInput, match=r"sweep\.yaml"):
        sweep(SWEPT, swept)
    assert os.listdir(swept.parent) == ["sweep"]


@pytest.mark.parametrize("content", [b"\xff", b"[]"])
def test_a_damaged_plan_is_another_sweep(swept, failing, content):
    (swept / "sweep.yaml").write_bytes(content)
    assert sweep(SWEPT, swept).directory == swept.with_name("sweep-2")
    assert (swept / "sweep.yaml").read_bytes() == content
    assert os.listdir(swept) == ["sweep.yaml"]
    refused(*resume(swept), says="another sweep")


def test_a_plan_that_is_a_link_is_not_written_through(tmp_path, outside):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep/sweep.yaml").symlink_to(outside / "new")
    with pytest.raises(BadInput, match=r"sweep\.yaml: No such file"):
        sweep(SWEPT, tmp_path / "sweep")


@pytest.mark.parametrize(
    "damage",
    [
        holding(b""), holding(DEEP), made_pipe, endless, huge, edited(valid="x"),
        edited(recovered="x"), edited(subscribers=[1]),
    ],
)  # fmt: skip
def test_going_on_with_a_damaged_run_names_its_file(swept, good, damage):
    for name in ("0001-1", "0002-1"):
        shutil.copytree(good, swept / "runs" / name)
        edited(recovered=3)(swept / "runs" / name / "summary.json")
    damage(swept / "runs/0002-1/summary.json")
    with pytest.raises(BadInput, match=r"0002-1/summary\.json"):
        sweep(SWEPT, swept)


def test_going_on_with_a_damaged_run_on_the_command_line(swept, good):
    for name in ("0001-1", "0002-1"):
        shutil.copytree(good, swept / "runs" / name)
    (swept / "runs/0002-1/summary.json").write_bytes(DEEP)
    refused(*resume(swept), says="0002-1/summary.json is damaged", memory=6 << 30)


@pytest.fixture
def drawn(swept, good):
    """A finished sweep."""
    for name in ("0001-1", "0002-1"):
        shutil.copytree(good, swept / "runs" / name)
        edited(scenario="reboot", recovery_p50_s=0.2, queries_sent=3)(swept / "runs" / name / "summary.json")
    sweep(SWEPT, swept)
    return swept


def test_the_figures_of_this_sweep_can_be_drawn(drawn):
    assert plots.save_sweep(drawn)


@pytest.mark.parametrize(
    "damage", [holding(b""), cut, flipped, made_pipe, endless, huge, many_rows, long_text]
)
def test_a_damaged_table_of_a_sweep_is_named(drawn, damage):
    damage(drawn / "table.parquet")
    with pytest.raises(BadInput, match=r"table\.parquet"):
        plots.save_sweep(drawn)


@pytest.mark.parametrize(
    "changes",
    [
        {"run_dir": "/etc"}, {"run_dir": "../outside"}, {"run_dir": 3}, {"scenario": 3}, {"valid": "x"},
        {"recovery_p50_s": "x"}, {"recovery_p50_s": np.inf}, {"wan.delay": [0.0, 1e300]}, {"repeat": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_values_in_the_table_of_a_sweep_are_looked_at(drawn, changes):
    path = drawn / "table.parquet"
    pd.read_parquet(path).assign(**changes).to_parquet(path)
    with pytest.raises(BadInput, match=r"table\.parquet is damaged"):
        plots.save_sweep(drawn)


def test_a_sweep_on_the_command_line(drawn):
    cut(drawn / "table.parquet")
    refused("plot", drawn, says="table.parquet is damaged", memory=6 << 30)


def test_figures_are_not_written_through_links(damaged, drawn, outside):
    for directory, draw in (
        (damaged, lambda: plots.save(Run(damaged))),
        (drawn, lambda: plots.save_sweep(drawn)),
    ):
        (directory / "figures").symlink_to(outside)
        with pytest.raises(BadInput, match="figures is a link"):
            draw()
        (directory / "figures").unlink()
        (directory / "figures").mkdir()
        (directory / "figures/recovery.png").symlink_to(outside / "recovery.png")
        (directory / "figures/recovery.svg").symlink_to(outside / "new")
        assert draw()
        assert not any(path.is_symlink() for path in (directory / "figures").iterdir())


def test_figures_through_a_link_on_the_command_line(damaged, outside):
    (damaged / "figures").symlink_to(outside)
    refused("plot", damaged, says="figures is a link", memory=6 << 30)


def test_a_picture_and_a_report_replace_a_link(tmp_path, outside):
    (tmp_path / "cable.png").symlink_to(outside / "file")
    done = play("show", "cable", "--out", "cable.png", cwd=tmp_path, memory=6 << 30)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "cable.png").is_symlink()


def test_a_name_that_is_no_text_is_printed_as_it_came(tmp_path):
    done = play("show", "cable", "--out", "\udcff.png", cwd=tmp_path, memory=6 << 30)
    assert (done.returncode, done.stdout) == (0, b"\xff.png\n"), done.stderr


def test_the_counters_replace_a_link(tmp_path, outside):
    """`counters.json.new` was once opened for writing, wherever it led."""
    (tmp_path / "server.yaml").write_text(BASE.replace("6767", "16767"))
    (tmp_path / "counters.json").symlink_to(outside / "file")
    (tmp_path / "counters.json.new").symlink_to(outside / "file")
    command = [*support.LQ, "serve", "server.yaml", "--counters", "counters.json"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(support.ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout.readline() == "ready 127.0.0.1:16767\n"
        server.terminate()
        assert server.wait() == 0
    assert json.loads((tmp_path / "counters.json").read_text())["bindings"] == 0
    assert not (tmp_path / "counters.json").is_symlink()


def test_a_live_lab_takes_a_new_or_empty_directory(tmp_path, outside, monkeypatch):
    from lq.live import lab as live

    monkeypatch.setattr(live, "check_tools", lambda: None)
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/raw").symlink_to(outside)
    with pytest.raises(BadInput, match="lab is not empty"):
        live.Lab(directory=tmp_path / "lab")
