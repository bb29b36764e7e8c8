"""Stable storage: what comes back, which files are refused untouched, and which line says why."""

import contextlib
import os
import random
import shutil
import sqlite3
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from lq.server import log_file, schema
from lq.server.bindings import NO_TIME, Binding, State
from lq.server.clock import Moment
from lq.server.schema import Over
from lq.server.storage import Storage, StorageError
from tests import support

from .helpers import mac
from .stored import SOME, fields, files, lease, load, put


def by_hand(path, *statements):
    other = sqlite3.connect(path)
    for statement in statements:
        other.execute(statement)
    other.commit()
    other.close()


def refused(path):
    """The one line with which a file is refused, which stays as it is."""
    before = files(path)
    with pytest.raises(StorageError) as raised, contextlib.closing(Storage(path)) as storage:
        list(storage.load())
    assert files(path) == before
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)
    return str(raised.value)


def test_bindings_come_back_as_they_were(tmp_path):
    path = tmp_path / "bindings.sqlite"
    storage = Storage(path)
    assert storage.commit(SOME) == 3
    assert storage.commit([SOME[1]]) == 1
    assert storage.commit([]) == 0
    storage.close()
    assert load(path) == sorted(map(fields, SOME))
    assert [each.name for each in tmp_path.iterdir()] == ["bindings.sqlite"]


def test_what_is_stored_over_what(tmp_path):
    with contextlib.closing(Storage(tmp_path / "b")) as storage:
        storage.commit([lease(1, 10.0), lease(2, 10.0)])
        assert storage.commit([lease(1, 10.0), lease(2, 11.0), lease(3)], Over.OLDER) == 2
        assert storage.commit([lease(2, 99.0), lease(4)], Over.NOTHING) == 1
        assert [each.last_transaction for each in storage.load()] == [10.0, 11.0, 0.0, 0.0]


def test_a_commit_that_fails_changes_nothing(tmp_path):
    with contextlib.closing(Storage(tmp_path / "b")) as storage:
        storage.commit([lease(1)])
        with pytest.raises(StorageError, match="cannot write"):
            storage.commit([lease(2), Binding(bytes((198, 18, 0, 3)), expires=float("nan"))])
        storage.commit([lease(4)])
        assert [each.packed[-1] for each in storage.load()] == [1, 4]


def test_commits_are_synced_and_logged_ahead(tmp_path):
    storage = Storage(tmp_path / "bindings.sqlite")
    assert storage._database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert storage._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    storage.close()


# -- files that are refused -----------------------------------------------------------------------------


def test_a_second_server_is_refused(tmp_path):
    path = tmp_path / "bindings.sqlite"
    storage = Storage(path)
    storage.commit(SOME)
    for _ in range(2):
        with pytest.raises(StorageError, match="in use"):
            Storage(path)
    # Another process is kept off, too, also after an attempt by this one.
    attempt = f"from lq.server.storage import Storage; Storage({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", attempt], capture_output=True, text=True, check=False)
    assert "in use" in done.stderr.splitlines()[-1]
    storage.commit(SOME)
    storage.close()
    assert load(path) == sorted(map(fields, SOME))


def test_a_database_that_another_program_reads_is_in_use(tmp_path):
    Storage(tmp_path / "b").close()
    script = (
        "import sqlite3, sys; other = sqlite3.connect(sys.argv[1]); "
        "other.execute('BEGIN IMMEDIATE'); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "b")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        with pytest.raises(StorageError, match="in use"):
            Storage(tmp_path / "b")
        other.communicate(b"\n")
    Storage(tmp_path / "b").close()


def foreign(path):
    by_hand(path, "CREATE TABLE bindings (x)")
    return "another program's"


def newer(path):
    Storage(path).close()
    by_hand(path, "PRAGMA user_version = 3")
    return r"another version \(3\)"


def text(path):
    path.write_text("lease 198.18.0.10 {\n}\n" * 100)
    return "no database"


def damaged(path):
    storage = Storage(path)
    storage.commit(Binding(number.to_bytes(4, "big"), sent=bytes(200)) for number in range(2000))
    storage.close()
    octets = bytearray(path.read_bytes())
    octets[9 * 4096 : 13 * 4096] = bytes(4 * 4096)
    path.write_bytes(octets)
    return "damaged"


def other_tables(path):
    Storage(path).close()
    by_hand(path, "DROP TRIGGER changed")
    return "not as they were made"


def a_value(column, value):
    def spoil(path):
        with contextlib.closing(Storage(path)) as storage:
            storage.commit(SOME)
        by_hand(path, f"UPDATE bindings SET {column} = {value} WHERE address = 3323068426")
        return r"the row of address 198\.18\.0\.10 does not match its checksum"

    return spoil


def lost_row(path):
    with contextlib.closing(Storage(path)) as storage:
        storage.commit(SOME)
    by_hand(path, "DELETE FROM bindings WHERE address = 3323068426")
    return "2 bindings where 3 were stored"


def exchanged_row(path):
    """A row that is whole, but in place of another."""
    with contextlib.closing(Storage(path)) as storage:
        storage.commit(SOME)
    with contextlib.closing(Storage(f"{path}-other")) as storage:
        storage.commit([lease(9)])
    by_hand(
        path,
        "DROP TRIGGER added",
        f"ATTACH '{path}-other' AS other",
        "DELETE FROM bindings WHERE address = 3323068426",
        "INSERT INTO bindings SELECT * FROM other.bindings",
        schema.ADDED,
    )
    return "not those stored last"


def bad_moment(path):
    with contextlib.closing(Storage(path)) as storage:
        storage.begin(lambda: Moment(5.0, 1.0, "this"))
        storage.commit(SOME)
    by_hand(path, "UPDATE tally SET clock = 6.0")
    return "the time of the last commit"


def two_tallies(path):
    Storage(path).close()
    by_hand(path, "INSERT INTO tally SELECT * FROM tally")
    return "its tally has 2 rows"


@pytest.mark.parametrize(
    "spoil",
    [
        foreign,
        newer,
        text,
        damaged,
        other_tables,
        lost_row,
        exchanged_row,
        bad_moment,
        two_tallies,
        a_value("htype", "2"),
        a_value("chaddr", "'text'"),
        a_value("client_id", "NULL"),
        a_value("state", "2"),
        a_value("expires", "'tomorrow'"),
        a_value("renews", "x'00'"),
        a_value("last_transaction", "1.75"),
        a_value("relay_info", "NULL"),
        a_value("sent", "x''"),
        a_value("returned", "x'0301'"),
        a_value("checksum", "1"),
    ],
)
def test_damaged_and_foreign_files_are_refused_and_left_as_they_are(tmp_path, spoil):
    path = tmp_path / "bindings.sqlite"
    says = spoil(path)
    line = refused(path)
    assert "another" in line
    with pytest.raises(StorageError, match=says):
        list(Storage(path).load())


@pytest.mark.parametrize("where", ["file", "log"])
def test_flipped_bytes_are_noticed(tmp_path, where):
    """The bounded version of `lq bench durability`: no flip passes that changes what was acknowledged."""
    from lq.bench.durability import Flips

    found = Flips(tmp_path, bindings=200, commits=12, seed=1).judge(where, 60)
    assert sum(found.values()) == 60
    assert found["silent"] == 0
    assert found["noticed"] > 20


def killed(path, commits, together=3):
    """The files as a SIGKILL leaves them; the bindings by commit."""
    states = []
    copy = Path(f"{path}-killed")
    with contextlib.closing(Storage(path)) as storage:
        storage.begin()
        for number in range(commits):
            storage.commit([lease(number * together + n, float(number)) for n in range(together)])
            states.append(sorted(map(fields, storage.load())))
        put(copy, files(path))
    return copy, states


def frames(log):
    """Where each frame of a log begins, with its page, the pages after a commit, and its salts."""
    size = 24 + 4096
    return [
        (start, *(int.from_bytes(log[start + n : start + n + 4], "big") for n in (0, 4, 8, 12)))
        for start in range(32, len(log) - size + 1, size)
    ]


def test_each_octet_of_each_kind_counts_in_the_log(tmp_path):
    """Every octet of every frame's header, and some of its page: only the last commit may go unnoticed."""
    copy, states = killed(tmp_path / "b", commits=4)
    assert load(copy) == states[-1]
    copy, states = killed(tmp_path / "c", commits=4)
    whole = files(copy)
    log = whole["-wal"]
    salts = frames(log)[0][3:]
    current = [frame for frame in frames(log) if frame[3:] == salts]
    last = [n for n, frame in enumerate(current) if frame[2]][-2] + 1  # the first frame of the last commit
    for number, (start, *_) in enumerate(current):
        for offset in [*range(24), 30, 2000, 4119]:
            damaged = bytearray(log)
            damaged[start + offset] ^= 0x55
            put(copy, {"": whole[""], "-wal": bytes(damaged)})
            if number < last:
                assert "is damaged (frame" in refused(copy), (number, offset)
                continue
            with contextlib.suppress(StorageError):  # the last commit: noticed, or torn
                assert load(copy) == states[-2], (number, offset)


@pytest.mark.parametrize("offset", range(32))
def test_each_octet_of_the_logs_header_counts(tmp_path, offset):
    copy, _ = killed(tmp_path / "b", commits=2)
    found = files(copy)
    log = bytearray(found["-wal"])
    log[offset] ^= 1
    put(copy, {**found, "-wal": bytes(log)})
    assert "its header is damaged" in refused(copy)


def test_a_log_torn_at_its_end_is_none_the_worse(tmp_path):
    """What a power cut leaves: any part of the last commit, which was not acknowledged, in any order."""
    copy, states = killed(tmp_path / "b", commits=5)
    whole = files(copy)
    log = whole["-wal"]
    ends = [start for start, _, ended, *_ in frames(log) if ended]
    begin = ends[-2] + 24 + 4096  # of the last commit
    dice = random.Random(5)
    for _ in range(40):
        torn = bytearray(log)
        for block in range(begin, len(log), 512):  # sectors reach the disk or do not
            if dice.random() < 0.5:
                torn[block : block + 512] = bytes(len(torn[block : block + 512]))
        put(copy, {**whole, "-wal": bytes(torn[: dice.randrange(begin, len(torn))])})
        assert load(copy) in (states[-2], states[-1])
    for length in (begin, begin + 1, begin + 30):
        put(copy, {**whole, "-wal": log[:length]})
        assert load(copy) == states[-2]


def test_an_older_generation_behind_the_log_is_no_damage(tmp_path):
    """After its content is in the file, the log is written from its begin, over what it had before."""
    path, copy = tmp_path / "b", tmp_path / "copy"
    with contextlib.closing(Storage(path)) as storage:
        storage.begin()
        for number in range(30):
            storage.commit([lease(number)])
        storage._fold_log()
        storage.commit([lease(99)])
        expected = sorted(map(fields, storage.load()))
        put(copy, files(path))
    assert len({frame[3:] for frame in frames(files(copy)["-wal"])}) == 2
    assert load(copy) == expected


def test_damage_in_a_log_of_many_generations_is_noticed(tmp_path):
    path, copy = tmp_path / "b", tmp_path / "copy"
    with contextlib.closing(Storage(path)) as storage:
        storage.begin()
        for number in range(30):
            storage.commit([lease(number)])
        storage._fold_log()
        for number in range(5):
            storage.commit([lease(100 + number)])
        put(copy, files(path))
    found = files(copy)
    log = bytearray(found["-wal"])
    log[32 + 24 + 100] ^= 1
    put(copy, {**found, "-wal": bytes(log)})
    assert "later commits stand behind it" in refused(copy)


def test_a_log_is_not_begun_before_its_header_is_whole(tmp_path):
    assert log_file.check(tmp_path / "none") is False
    for octets in (b"", b"\x37", bytes(32)):
        (tmp_path / "log").write_bytes(octets)
        assert log_file.check(tmp_path / "log") is False


def made_log(*made, salts=(7, 8)):
    """A log of frames: the page, the pages after a commit or 0, and what is damaged in it, if anything."""
    header = struct.pack(">6I", 0x377F0682, 3007000, 512, 0, *salts)
    sums = log_file._add(header, (0, 0), "<")
    log = header + struct.pack(">2I", *sums)
    for page, ends, damage in made:
        head, content = struct.pack(">2I", page, ends), bytes((page,)) * 512
        sums = log_file._add(head + content, sums, "<")
        frame = bytearray(head + struct.pack(">4I", *salts, *sums) + content)
        if damage == "torn":
            frame[24 + 100 :] = bytes(512 - 100)
        elif damage == "gone":
            frame = bytearray(len(frame))
        elif damage == "older":
            frame[8:16] = struct.pack(">2I", salts[0] - 1, 99)
        elif damage == "no commit":
            frame[4:8] = bytes(4)
        elif damage == "salt":
            frame[13] ^= 1
        log += bytes(frame)
    return log


@pytest.mark.parametrize("damage", ["", "torn", "gone", "older"])
@pytest.mark.parametrize("where", [0, 1, 2])
def test_damage_that_a_power_cut_makes_is_none(tmp_path, damage, where):
    made = [(2, 0, ""), (3, 9, ""), (2, 0, ""), (4, 0, ""), (5, 9, "")]
    made[2 + where] = (*made[2 + where][:2], damage)
    (tmp_path / "log").write_bytes(made_log(*made))
    assert log_file.check(tmp_path / "log") is True


@pytest.mark.parametrize(
    ("made", "says"),
    [
        ([(2, 0, "torn"), (3, 9, ""), (4, 0, ""), (5, 9, "")], "frame 1 is damaged, and later commits"),
        ([(2, 0, ""), (3, 9, "torn"), (4, 0, "")], "frame 2 is damaged, and later commits"),
        ([(2, 0, ""), (3, 9, "no commit"), (2, 0, ""), (4, 9, "")], "frame 2 is damaged, and later commits"),
        ([(2, 0, ""), (3, 9, "salt"), (4, 0, ""), (5, 9, "")], "frame 2 is damaged"),
        ([(2, 9, ""), (3, 9, "salt")], "frame 2 is damaged"),
    ],
)
def test_damage_that_no_power_cut_makes_is_named(tmp_path, made, says):
    (tmp_path / "log").write_bytes(made_log(*made))
    with pytest.raises(log_file.DamagedLog, match=says):
        log_file.check(tmp_path / "log")


def test_a_log_in_use_is_not_taken_for_a_damaged_one(tmp_path):
    """What another process is writing is not read."""
    path = tmp_path / "b"
    script = (
        "import sys; from lq.server.storage import Storage; "
        "storage = Storage(sys.argv[1]); storage.begin(); print(flush=True); input()"
    )
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        log = Path(f"{path}-wal")
        log.rename(tmp_path / "aside")
        log.write_bytes(b"x" * 100)
        with pytest.raises(StorageError, match="in use"):
            Storage(path)
        (tmp_path / "aside").replace(log)
        other.communicate(b"\n")


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_lost_log_is_noticed_and_can_be_given_up(tmp_path, how):
    copy, states = killed(tmp_path / "b", commits=3)
    found = files(copy)
    put(copy, {"": found[""]} if how == "missing" else {"": found[""], "-wal": b""})
    if how == "missing":
        line = refused(copy)
    else:
        with pytest.raises(StorageError) as raised:
            Storage(copy)
        line = str(raised.value)
    assert "its log" in line
    assert "missing" in line
    put(copy, found)
    assert load(copy) == states[-1]  # put back, it is as before
    put(copy, {"": found[""]})
    command = line.split("accept the loss with ")[1]
    by_hand(copy, command.split("'")[1])
    assert load(copy) == []


def test_a_log_without_its_database_is_noticed(tmp_path):
    copy, states = killed(tmp_path / "b", commits=3)
    found = files(copy)
    put(copy, {"-wal": found["-wal"]})
    with pytest.raises(StorageError, match="is empty, but its log"):
        Storage(copy)
    assert files(copy)["-wal"] == found["-wal"]
    put(copy, found)
    assert load(copy) == states[-1]


def test_a_refused_file_keeps_its_log(tmp_path):
    """A damaged row in the file does not cost what is in the log."""
    path, copy = tmp_path / "b", tmp_path / "copy"
    with contextlib.closing(Storage(path)) as storage:
        storage.commit([lease(number) for number in range(500)])
    octets = bytearray(path.read_bytes())
    octets[octets.rindex(mac(3))] ^= 1
    with contextlib.closing(Storage(path)) as storage:
        storage.commit([lease(600)])
        log = files(path)["-wal"]
    put(copy, {"": bytes(octets), "-wal": log})
    by_hand(copy, "PRAGMA user_version")  # SQLite folds it in and takes it away
    put(copy, {"": bytes(octets), "-wal": log})
    for _ in range(2):
        with pytest.raises(StorageError, match="does not match its checksum"):
            list(Storage(copy).load())
        assert files(copy)["-wal"] == log


KILLED_AT_EACH_LINE = """
import os, signal, sys
from pathlib import Path
from tests.server.stored import fields, files, lease, load, put
from lq.server.storage import Storage

OURS = ("/server/storage.py", "/server/schema.py", "/server/hold.py")
path, before = Path(sys.argv[1]), {}

def turn(told, at):
    left = at
    def trace(frame, event, argument):
        nonlocal left
        if frame.f_code.co_filename.endswith(OURS):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace
    sys.settrace(trace)
    storage = Storage(path)
    list(storage.load())
    storage.begin()
    for number in range(10, 12):
        storage.commit([lease(number)])
        os.write(told, bytes((number,)))
    storage.close()
    os._exit(0)

def life(before, at):
    put(path, before)
    heard, told = os.pipe()
    child = os.fork()
    if child == 0:
        turn(told, at)
    os.close(told)
    _, status = os.waitpid(child, 0)
    stored = {fields(lease(number)) for number in os.read(heard, 100)}
    os.close(heard)
    for _ in range(2):  # and again, after an orderly end
        missing = stored - set(load(path))
        assert not missing, (at, missing)
    return status != 0

def all_lives(before, first):
    at = first
    while life(before, at):
        at += 3
    print(at)

all_lives({}, 1)  # a new database
def crashed():
    child = os.fork()
    if child == 0:
        storage = Storage(path)
        storage.commit([lease(1)])
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    return files(path)
put(path, {})
after_a_crash = crashed()
all_lives(after_a_crash, 2)
put(path, after_a_crash)
storage = Storage(path)
storage.begin()
storage.close()
all_lives(files(path), 3)  # after an orderly end
"""


def test_a_kill_at_any_line_is_never_refused(tmp_path):
    """The process is killed at every third line of the storage; the next start finds all."""
    script = [sys.executable, "-W", "ignore", "-c", KILLED_AT_EACH_LINE, str(tmp_path / "b")]
    done = support.run(script)
    assert done.returncode == 0, done.stderr
    assert all(int(lines) > 100 for lines in done.stdout.split())
    assert len(done.stdout.split()) == 3


def test_an_end_without_its_mark_keeps_the_log(tmp_path, monkeypatch):
    """Where the mark cannot be stored, the log stays, or the next start would miss it."""
    storage = Storage(tmp_path / "b")
    storage.commit([lease(1)])

    def full(_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(storage, "_set_closed", full)
    storage.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["b", "b-wal"]
    assert load(tmp_path / "b") == [fields(lease(1))]


def test_a_kill_while_the_log_is_put_aside_is_mended(tmp_path):
    copy, states = killed(tmp_path / "b", commits=3)
    Path(f"{copy}-wal").rename(f"{copy}-wal-kept")
    assert load(copy) == states[-1]
    assert not Path(f"{copy}-wal-kept").exists()


def test_a_storage_forgotten_is_closed_in_order(tmp_path):
    storage = Storage(tmp_path / "b")
    storage.commit(SOME)
    del storage
    assert load(tmp_path / "b") == sorted(map(fields, SOME))


# -- what the machine does not allow --------------------------------------------------------------------

TRY = """
import sys
from lq.server.bindings import Binding
from lq.server.storage import Storage, StorageError
try:
    storage = Storage(sys.argv[1])
    list(storage.load())
    storage.begin()
    storage.commit(Binding(n.to_bytes(4, 'big'), sent=bytes(200)) for n in range(int(sys.argv[2])))
    storage.close()
except StorageError as error:
    print(error)
"""


def attempt(path, count=0, before="", prefix=()):
    """Try a database after shell commands in a mount namespace; the line it says."""
    shell = [
        *prefix,
        "sh",
        "-ec",
        f'{before}\nexec "$@"',
        "sh",
        sys.executable,
        "-c",
        TRY,
        str(path),
        str(count),
    ]
    done = support.run(shell)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") <= 1
    return done.stdout.strip()


NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "--")


@pytest.mark.lab
@pytest.mark.parametrize("there", [False, True])
def test_a_read_only_file_system_is_said_so_at_the_start(tmp_path, there):
    if there:
        with contextlib.closing(Storage(tmp_path / "b")) as storage:
            storage.commit(SOME)
    mount = f"mount --bind {tmp_path} {tmp_path}; mount -o remount,bind,ro {tmp_path}"
    assert "the file system is read-only" in attempt(tmp_path / "b", before=mount, prefix=NAMESPACE)


@pytest.mark.lab
def test_a_full_disk_is_said_so_at_the_start(tmp_path):
    mount = f"mount -t tmpfs -o size=64k tmpfs {tmp_path}"
    mount += f"; dd if=/dev/zero of={tmp_path}/ballast bs=4k 2>/dev/null || true"
    line = attempt(tmp_path / "b", before=mount, prefix=NAMESPACE)
    assert "the disk is full" in line
    assert "nothing is damaged" in line


SERVER = """
listen: 127.0.0.1
port: 6767
database: {database}
subnets: [{{network: 198.18.0.0/16, pools: [198.18.0.10-198.18.0.20]}}]
"""


@pytest.mark.lab
@pytest.mark.parametrize("fault", ["the file system is read-only", "the disk is full"])
def test_the_server_says_it_before_it_is_ready(tmp_path, fault):
    config, disk = tmp_path / "server.yaml", tmp_path / "disk"
    disk.mkdir()
    config.write_text(SERVER.format(database=disk / "b"))
    with contextlib.closing(Storage(disk / "b")) as storage:
        storage.commit(SOME)
    before = f"mount --bind {disk} {disk}; mount -o remount,bind,ro {disk}"
    if "full" in fault:
        before = (
            f"cp {disk}/b {tmp_path}/b; mount -t tmpfs -o size=64k tmpfs {disk}; cp {tmp_path}/b {disk}/b"
        )
        before += f"; dd if=/dev/zero of={disk}/ballast bs=4k 2>/dev/null || true"
    command = f'{before}; exec "$@"'
    done = support.run(
        [*NAMESPACE, "sh", "-ec", command, "sh", sys.executable, "-m", "lq.server", str(config)]
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert fault in done.stderr


@pytest.mark.lab
def test_a_disk_that_fills_up_loses_nothing(tmp_path):
    """Commits fail on a full disk, the end is in order all the same, and the next start finds everything."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = tmp_path / "fill.py"
    script.write_text(
        f"""
import os, shutil, sys
from tests.server.stored import fields, lease
from lq.server.storage import Storage, StorageError
storage, number = Storage({str(disk / "b")!r}), 0
storage.begin()
try:
    while True:
        storage.commit([lease(number)])
        number += 1
except StorageError as error:
    print(error)
storage.close()
os.unlink({str(disk / "ballast")!r})
storage = Storage({str(disk / "b")!r})
assert {{fields(lease(n)) for n in range(number)}} == set(map(fields, storage.load())), number
storage.commit([lease(number)])
storage.close()
print(number, os.listdir({str(disk)!r}))
"""
    )
    for ballast in (100, 140, 200):
        mount = f"mount -t tmpfs -o size=400k tmpfs {disk}"
        mount += f"; dd if=/dev/zero of={disk}/ballast bs=1k count={ballast} 2>/dev/null"
        done = support.run([*NAMESPACE, "sh", "-ec", f"{mount}; exec {sys.executable} {script}"])
        assert done.returncode == 0, done.stderr
        first, second = done.stdout.splitlines()
        assert "the disk is full" in first
        count, _, names = second.partition(" ")
        assert int(count) > 0
        assert names == "['b']"


def test_a_limit_on_the_size_of_files_is_no_damage(tmp_path):
    line = attempt(tmp_path / "b", before="ulimit -f 8")
    assert "cannot write" in line
    assert "limit on the size of files" in line


@pytest.mark.parametrize("what", ["file", "directory", "log"])
def test_missing_permission_names_what_it_is_missing_for(what):
    home = support.private_directory()
    owner = support.as_ordinary_user([])
    try:
        assert attempt(home / "b", 10, prefix=owner) == ""
        if what == "log":
            Path(f"{home / 'b'}-wal").write_bytes(b"x" * 10)
        locked = {"file": home / "b", "directory": home, "log": Path(f"{home / 'b'}-wal")}[what]
        locked.chmod(0o555 if what == "directory" else 0o444)
        if os.geteuid() == 0:
            os.chown(locked, 0, 0)
        if what == "log":
            locked.chmod(0o000)
        line = attempt(home / "b", 10, prefix=owner)
        assert f"no permission to write {locked}" in line
    finally:
        home.chmod(0o755)
        shutil.rmtree(home)


def test_a_directory_that_cannot_hold_the_file_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"the directory .*missing is missing"):
        Storage(tmp_path / "missing" / "bindings.sqlite")
    with pytest.raises(StorageError, match="it is a directory"):
        Storage(tmp_path)


# -- databases of version 1 -----------------------------------------------------------------------------

VERSION_1 = """
CREATE TABLE bindings (
    address INTEGER PRIMARY KEY,
    htype INTEGER NOT NULL, chaddr BLOB NOT NULL, client_id BLOB,
    state INTEGER NOT NULL,
    expires REAL, renews REAL, rebinds REAL, last_transaction REAL,
    relay_info BLOB, sent BLOB NOT NULL, returned BLOB NOT NULL
)
"""
GOOD = {
    "address": "3323068426",
    "htype": "1",
    "chaddr": "x'020000000001'",
    "client_id": "x'00'",
    "state": "1",
    **dict.fromkeys(("expires", "renews", "rebinds", "last_transaction"), "1.5"),
    "relay_info": "NULL",
    "sent": "x'3c0161'",
    "returned": "x''",
}


def version_1(path, **values):
    by_hand(
        path,
        "PRAGMA journal_mode = WAL",
        VERSION_1,
        f"PRAGMA application_id = {schema.APPLICATION_ID}",
        "PRAGMA user_version = 1",
        f"INSERT INTO bindings VALUES ({', '.join((GOOD | values).values())})",
    )


def test_a_database_of_version_1_is_taken_over(tmp_path):
    path = tmp_path / "b"
    version_1(path, expires="NULL", client_id="NULL", renews="7")
    many = ((n, n % 250, bytes(6), None, 2, 1.0, None, None, 0.5, b"\1\0", b"", b"") for n in range(3000))
    other = sqlite3.connect(path)
    other.executemany(f"INSERT INTO bindings VALUES ({', '.join('?' * 12)})", many)
    other.commit()
    other.close()
    for _ in range(2):
        found = load(path)
        assert len(found) == 3001
        assert found[-1] == (
            bytes((198, 18, 0, 10)), 1, mac(1), None, State.LEASED, NO_TIME,
            7.0, 1.5, 1.5, None, b"<\1a", b"",
        )  # fmt: skip
        assert found[7] == (
            bytes((0, 0, 0, 7)), 7, bytes(6), None, State.RELEASED, 1.0,
            NO_TIME, NO_TIME, 0.5, b"\1\0", b"", b"",
        )  # fmt: skip
    with contextlib.closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (2,)
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("killed_at", ["create", "executemany", "DROP", "COMMIT"])
def test_a_take_over_that_is_killed_loses_nothing(tmp_path, killed_at):
    path = tmp_path / "b"
    version_1(path)
    script = f"""
import os, signal
from lq.server import rows, schema, storage
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if {killed_at!r} == "create":
    schema.create = kill
elif {killed_at!r} == "executemany":
    rows.from_binding = kill
else:
    create = schema.create
    def traced(database):
        create(database)
        database.set_trace_callback(lambda statement: statement.startswith({killed_at!r}) and kill())
    schema.create = traced
storage.Storage({str(path)!r})
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=support.ROOT, check=False)
    assert done.returncode == -9
    ((packed, *_),) = load(path)
    assert packed == bytes((198, 18, 0, 10))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("address", "4294967296"),
        ("address", "-1"),
        ("htype", "'ethernet'"),
        ("htype", "256"),
        ("chaddr", "'02:00:00:00:00:01'"),
        ("chaddr", "zeroblob(17)"),
        ("client_id", "'text'"),
        ("client_id", "5"),
        ("state", "4"),
        ("state", "'leased'"),
        ("expires", "'tomorrow'"),
        ("renews", "x'00'"),
        ("last_transaction", "'never'"),
        ("relay_info", "'port'"),
        ("sent", "'docsis'"),
        ("sent", "x'3cff61'"),
        ("returned", "x'03'"),
    ],
)
def test_a_value_of_version_1_that_does_not_fit_is_refused_in_one_line(tmp_path, column, value):
    path = tmp_path / "bindings.sqlite"
    version_1(path, **{column: value})
    line = refused(path)
    assert "restore a copy" in line
    assert "the row of address" in line
