"""`lq bench durability`: what damage and kills do to the server's database.

Random bytes are flipped, one at a time: in the database, which is closed or has its log beside it, and in the
log that a killed server leaves. Each flip is `noticed` (the file is refused), `harmless` (all bindings are
as they were), in the log's `last commit` (which cannot be told from a power cut, and is all that is lost), or
`silent`: other bindings are taken for those stored. SQLite alone, with its own check, is the peer.

Then the server is killed with SIGKILL while clients lease, again and again; whatever it has acknowledged is
to be in its database. It is also killed while it starts and while it ends.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

from lq.bench.cases import Case, limited
from lq.bench.compared_servers import our_config
from lq.bench.leaseholders import Leaseholder
from lq.bench.program import Tell, play
from lq.bench.query_load import Leasing
from lq.bench.server import SMALL_NETWORK
from lq.bench.two_hosts import REQUESTER, SERVER, TwoHosts
from lq.sandbox.channel import Channel
from lq.sandbox.tools import PYTHON
from lq.server import rows
from lq.server.bindings import Binding, State
from lq.server.storage import Storage, StorageError

PEER = "SQLite alone"
MOST_LEASES = 120  # acknowledged before a kill
_SUFFIXES = ("", "-wal", "-wal-kept")

Files = dict[str, bytes]
Stored = frozenset[rows.Row]
Open = Callable[[Path], Stored]


def run(flips: int = 2000, kills: int = 200, tell: Tell = lambda *_: None) -> Case:
    """Flip so many bytes in the database and in the log, and kill the server so often.

    The result is as `lq bench NAME --json` has it. `counts` of a case tells how the flips ended,
    `peer_counts` how those of SQLite alone did. Raises RuntimeError with the reason if a part fails.
    """
    return play("lq.bench.durability", [f"--flips={flips}", f"--kills={kills}"], tell)


# -- flips ----------------------------------------------------------------------------------------------


def read_ours(path: Path) -> Stored:
    """All rows, as the server reads them."""
    with contextlib.closing(Storage(path)) as storage:
        return frozenset(map(rows.from_binding, storage.load()))


def read_alone(path: Path) -> Stored:
    """All rows, with no more than SQLite's own check."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        said = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if said != "ok":
            raise sqlite3.DatabaseError(said)
        return frozenset(database.execute("SELECT * FROM bindings"))


class Flips:
    """A database closed in order, and one killed with its log; ours, or of SQLite alone.

    Both have so many `bindings`; the log has `commits`, of few addresses, so that most pages are in the file.
    """

    def __init__(
        self, directory: Path, bindings: int = 600, commits: int = 40, seed: int = 1, ours: bool = True
    ) -> None:
        self._path = directory / "flipped.sqlite"
        self._dice = random.Random(seed)
        self._read: Open = read_ours if ours else read_alone
        self._make = self._with_storage if ours else self._with_sqlite
        self._states: list[Stored] = []  # after each commit of the log
        self._put({})
        store, close = self._make()
        store(_lease(number, 0.0) for number in range(bindings))
        close()
        self._closed = self._files()
        self._closed_state = self._read(self._path)
        self._put(self._closed)
        store, close = self._make()
        current = {row[0]: row for row in self._closed_state}
        for number in range(1, commits + 1):
            some = [_lease(bindings - 20 + self._dice.randrange(60), float(number)) for _ in range(3)]
            store(iter(some))
            current |= {row[0]: row for row in map(rows.from_binding, some)}
            self._states.append(frozenset(current.values()))
        self._killed = self._files()
        close()

    def _with_storage(self) -> tuple[Callable[[Iterator[Binding]], object], Callable[[], None]]:
        storage = Storage(self._path)
        storage.begin()
        return storage.commit, storage.close

    def _with_sqlite(self) -> tuple[Callable[[Iterator[Binding]], object], Callable[[], None]]:
        database = sqlite3.connect(self._path, isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        columns = ", ".join(rows.COLUMNS[1:])
        database.execute(f"CREATE TABLE IF NOT EXISTS bindings (address INTEGER PRIMARY KEY, {columns})")
        marks = ", ".join("?" * len(rows.COLUMNS))

        def store(bindings: Iterator[Binding]) -> None:
            database.execute("BEGIN")
            database.executemany(f"REPLACE INTO bindings VALUES ({marks})", map(rows.from_binding, bindings))
            database.execute("COMMIT")

        return store, database.close

    def _files(self) -> Files:
        paths = ((name, Path(f"{self._path}{name}")) for name in _SUFFIXES)
        return {name: path.read_bytes() for name, path in paths if path.exists()}

    def _put(self, files: Files) -> None:
        for name in (*_SUFFIXES, "-shm"):
            Path(f"{self._path}{name}").unlink(missing_ok=True)
        for name, octets in files.items():
            Path(f"{self._path}{name}").write_bytes(octets)

    def judge(self, where: str, count: int, tell: Callable[[int], None] = lambda _: None) -> Counter[str]:
        """Flip `count` bytes, one after the other, in the "file" or the "log"; how many ended how."""
        found: Counter[str] = Counter(noticed=0, harmless=0, silent=0)
        for number in range(count):
            tell(number)
            found[self._flip(where, closed=where == "file" and number % 2 == 0)] += 1
        return found

    def _flip(self, where: str, closed: bool) -> str:
        whole = self._closed if closed else self._killed
        name = "" if where == "file" else "-wal"
        octets = bytearray(whole[name])
        octets[self._dice.randrange(len(octets))] ^= self._dice.randrange(1, 256)
        self._put({**whole, name: bytes(octets)})
        try:
            found = self._read(self._path)
        except (StorageError, sqlite3.Error, UnicodeDecodeError):
            return "noticed"
        if found == (self._closed_state if closed else self._states[-1]):
            return "harmless"
        return "last commit" if where == "log" and found == self._states[-2] else "silent"


def _lease(number: int, moment: float) -> Binding:
    subscriber = Leaseholder(number, SMALL_NETWORK[1])
    return Binding(
        subscriber.address.packed,
        1,
        subscriber.chaddr,
        subscriber.client_id,
        State.LEASED,
        moment + 86400.0,
        moment + 43200.0,
        moment + 75600.0,
        moment,
        subscriber.relay_info,
    )


def flip_all(directory: Path, count: int, tell: Tell) -> list[Case]:
    """The two cases of flipped bytes: in the database, in the log."""
    ours, alone = (Flips(directory, ours=each) for each in (True, False))
    cases = []
    for where, name in (("file", "database"), ("log", "log")):
        found = ours.judge(where, count, lambda done, name=name: tell(f"{name} flips", done, count))  # type: ignore[misc]
        peer = alone.judge(where, count)
        tell(f"{name} flips", count, count)
        silent = f"flips in the {name} accepted silently"
        result = limited(silent, "flips", found["silent"], 0, peer["silent"], PEER)
        cases.append(result | {"ratio": None, "flips": count, "counts": found, "peer_counts": peer})
    return cases


# -- kills ----------------------------------------------------------------------------------------------


class Kills:
    """A server that is started and killed, and the leases it has acknowledged in all its lives."""

    def __init__(self, hosts: TwoHosts, directory: Path, seed: int = 1) -> None:
        self._hosts, self._directory = hosts, directory
        self._database = directory / "bindings.sqlite"
        self._config = directory / "server.yaml"
        self._config.write_text(our_config(directory, *SMALL_NETWORK))
        self._dice = random.Random(seed)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((REQUESTER, 67))
        self._socket.connect((SERVER, 67))
        self._leasing = Leasing(self._socket, IPv4Address(REQUESTER), IPv4Address(SERVER).packed)
        self.refused: list[str] = []
        self.lost: set[IPv4Address] = set()

    @property
    def acknowledged(self) -> dict[IPv4Address, bytes]:
        """Hardware addresses of the clients, by the addresses that they were given."""
        return self._leasing.acknowledged

    def _start(self) -> subprocess.Popen[str]:
        command = self._hosts.at_server([*PYTHON, "lq.server", str(self._config)])
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def under_load(self) -> None:
        """Start it, lease, kill it."""
        process = self._start()
        assert process.stdout is not None
        if "ready" not in process.stdout.readline():
            self._note_refusal(process)
            return
        until = len(self.acknowledged) + self._dice.randint(1, MOST_LEASES)
        self._leasing.lease(until, pause=self._dice.uniform(0, 0.003))
        process.kill()
        process.communicate()
        self._leasing.drain()
        self._look()

    def at_start(self) -> None:
        """Start it, and kill it before or soon after it is ready."""
        process = self._start()
        time.sleep(self._dice.uniform(0.1, 1.0))
        process.kill()
        process.communicate()
        self._look()

    def at_end(self) -> None:
        """Start it, tell it to end, and kill it meanwhile."""
        process = self._start()
        assert process.stdout is not None
        if "ready" not in process.stdout.readline():
            self._note_refusal(process)
            return
        process.send_signal(signal.SIGTERM)
        time.sleep(self._dice.uniform(0, 0.03))
        process.kill()
        process.communicate()
        self._look()

    def _note_refusal(self, process: subprocess.Popen[str]) -> None:
        _, errors = process.communicate()
        self.refused.append(errors.strip()[-500:])

    def _look(self) -> None:
        try:
            self.lost |= missing(self._database, self.acknowledged, self._directory / "copy.sqlite")
        except StorageError as error:
            self.refused.append(str(error))


def missing(database: Path, acknowledged: dict[IPv4Address, bytes], copy: Path) -> set[IPv4Address]:
    """Return which addresses a database does not have for those whom they were acknowledged to.

    It is a copy that is looked at: to open the database would mend it. Raises StorageError if it is refused.
    """
    for name in _SUFFIXES:
        Path(f"{copy}{name}").unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(f"{database}{name}", f"{copy}{name}")
    with contextlib.closing(Storage(copy)) as storage:
        stored = {each.address: each.chaddr for each in storage.load()}
    return {address for address, chaddr in acknowledged.items() if stored.get(address) != chaddr}


def kill_all(directory: Path, count: int, tell: Tell) -> list[Case]:
    """The two cases of kills: leases lost, starts refused. A fifth more come at a start or an end."""
    with TwoHosts() as hosts:
        kills = Kills(hosts, directory)
        for number in range(count):
            tell("kills", number, count)
            kills.under_load()
            if number % 10 == 0:
                kills.at_start()
                kills.at_end()
        tell("kills", count, count)
    more = {"kills": count, "more_kills": 2 * -(-count // 10), "acknowledged": len(kills.acknowledged)}
    lost = limited("acknowledged leases lost by SIGKILL", "leases", len(kills.lost), 0)
    refused = limited("starts refused after SIGKILL", "starts", len(kills.refused), 0)
    return [lost | more, refused | more | {"refusals": kills.refused}]


def main() -> int:
    """Run inside the lab, send the result through the channel."""
    parser = argparse.ArgumentParser(prog="python -m lq.bench.durability")
    parser.add_argument("channel", type=int)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--flips", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=200)
    arguments = parser.parse_args()
    channel = Channel.from_fd(arguments.channel)

    def tell(*progress: object) -> None:
        channel.send({"progress": progress})

    result, *cases = flip_all(arguments.directory, arguments.flips, tell)
    cases += kill_all(arguments.directory, arguments.kills, tell)
    channel.send(result | {"cases": cases})
    return 0


if __name__ == "__main__":
    sys.exit(main())
