"""The I/O around the server: socket, clock, signals, database. `python -m lq.server CONFIG` runs it.

Datagrams are taken in batches. The bindings that a batch has changed are stored by one commit, and
only then do its replies leave; so an ACK is never ahead of the disk, and a busy server syncs once for
many clients. A query changes nothing and is answered at once while nothing waits to be stored.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from lq import files
from lq.errors import BadInput
from lq.server import log as server_log
from lq.server.clock import Clock
from lq.server.config import ConfigError, ServerConfig, load
from lq.server.service import Service
from lq.server.storage import Storage, StorageError

_log = logging.getLogger(__name__)

_BATCH = 256  # datagrams taken in before their changes are stored
_LONGEST = 4096  # octets of a datagram
_RECEIVE_BUFFER = 4 << 20
_PATIENCE = 1.0  # seconds that the last words wait for somebody to read them


class Daemon:
    """One running server. Raises StorageError or OSError from the constructor if it cannot start."""

    def __init__(
        self, config: ServerConfig, output: server_log.Output, counters_json: Path | None = None
    ) -> None:
        self.config = config
        self._output = output
        self._counters_json = counters_json
        self._storage = Storage(config.database)
        self._clock = Clock(self._storage.last)
        gc.disable()  # a million bindings are not garbage, and walking them again and again takes long
        try:
            self.service = Service(config, self._storage.load(), self._clock())
            self._storage.begin(self._clock.moment)
            self._socket = _listen(config)
        except BaseException:
            self._storage.close()
            raise
        finally:
            gc.enable()
        self._stopping = False
        self._report = False
        self._done = 0.0  # when a slow server was done with the latest message, monotonic clock

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises StorageError if bindings can no longer be stored."""
        # What has been loaded lives as long as the server: keep the collector from walking it again.
        gc.collect()
        gc.freeze()
        outside = self.service.counters["bindings outside the configured pools"]
        if outside:
            _log.warning(
                "%d stored bindings are outside the configured pools; the server leaves them alone", outside
            )
        if self.config.leasequery.enabled and not self.config.leasequery.requesters:
            _log.warning("leasequery is on, but nobody may ask: name the requesters in leasequery.requesters")
        if self._clock.said:
            _log.warning("%s", self._clock.told(self.service.bindings))
        _log.info("serving with %d bindings", len(self.service.bindings))
        with self._signals() as wakeup:
            print(f"ready {self.config.listen}:{self.config.port}", flush=True)
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            poll.register(wakeup, select.POLLIN)
            self._done = time.monotonic()
            while not self._stopping:
                if self.config.service_time:
                    self._be_busy(poll)
                    self._serve_batch(1)
                else:
                    poll.poll()
                    self._serve_batch(_BATCH)
                if self._report:
                    self._report = False
                    with contextlib.suppress(BlockingIOError):
                        wakeup.recv(64)
                    self.report()
        self.report(patience=_PATIENCE)

    def close(self) -> None:
        """Release the socket and the database."""
        self._socket.close()
        self._storage.close()

    def _be_busy(self, poll: select.poll) -> None:
        """Wait for a message, then for as long as it is to take. Others wait for it, in the socket's buffer.

        A message that is there already is begun when the one before it was done, so that what a sleep is
        too long does not add up.
        """
        if not poll.poll(0):
            poll.poll()
            self._done = time.monotonic()
        self._done += self.config.service_time
        time.sleep(max(0.0, self._done - time.monotonic()))

    def _serve_batch(self, most: int) -> None:
        receive, send = self._socket.recvfrom, self._send
        handle, clock = self.service.handle, self._clock
        changed = self.service.changed
        waiting: list[tuple[bytes | bytearray, tuple[str, int]]] = []
        for _ in range(most):
            try:
                octets, source = receive(_LONGEST)
            except BlockingIOError:
                break
            except OSError:
                self.service.counters["receive errors"] += 1
                break
            outgoing = handle(octets, clock(), source)
            if outgoing is None:
                continue
            if changed or waiting:
                waiting.append(outgoing)
            else:
                send(*outgoing)
        if changed:
            self._storage.commit(changed.values())
            self.service.counters["commits"] += 1
            changed.clear()
        for outgoing in waiting:
            send(*outgoing)

    def _send(self, octets: bytes | bytearray, destination: tuple[str, int]) -> None:
        try:
            self._socket.sendto(octets, destination)
        except OSError:  # no route, or the send buffer is full: the sender of the request will ask again
            self.service.counters["dropped: reply could not be sent"] += 1

    @contextlib.contextmanager
    def _signals(self) -> Iterator[socket.socket]:
        """Signals wake the loop through a socket and are acted on there."""

        def stop(*_: object) -> None:
            self._stopping = True

        def report(*_: object) -> None:
            self._report = True

        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGUSR1: report}
        former = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        former_wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield reader
        finally:
            signal.set_wakeup_fd(former_wakeup)
            for number, handler in former.items():
                signal.signal(number, handler)
            reader.close()
            writer.close()

    def report(self, patience: float = 0.0) -> None:
        """Print the counters on stderr, and write them as JSON if a file was named.

        Whoever reads stderr is waited for so many seconds at most.
        """
        counters = dict(sorted(self.service.counters.items()))
        counters["bindings"] = len(self.service.bindings)
        if self._output.lost:
            counters["lines of the log that nobody read"] = self._output.lost
        width = max(map(len, counters))
        lines = "\n".join(f"{name:{width}} {count}" for name, count in counters.items())
        self._output.write(lines, patience)
        if self._counters_json is not None:
            try:
                files.write(self._counters_json, (json.dumps(counters, indent=1) + "\n").encode())
            except BadInput as error:
                self._output.write(str(error), patience)


def _listen(config: ServerConfig) -> socket.socket:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        udp.setblocking(False)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if config.interface is not None:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, config.interface.encode())
        udp.bind((str(config.listen), config.port))
    except OSError:
        udp.close()
        raise
    return udp


def serve(config_path: Path | str, counters_json: Path | str | None = None, log: str = "warning") -> int:
    """Run the server in the foreground until SIGTERM; the exit status is 0, or 2 for what cannot start.

    Prints `ready ADDRESS:PORT` on stdout once it listens, and the counters on stderr at SIGUSR1 and at
    the end, as JSON to `counters_json`, too. Faults are one line on stderr. `log` is the level of what
    is written on stderr while it serves (lq.server.log).
    """
    output = server_log.set_up(log)
    where = ""
    try:
        config = load(config_path)
        where = f"cannot listen on {config.listen}:{config.port}"
        daemon = Daemon(config, output, None if counters_json is None else Path(counters_json))
    except (ConfigError, StorageError) as error:
        output.write(str(error), _PATIENCE)
        return 2
    except PermissionError as error:
        output.write(
            f"{where}: {error.strerror}; run the server as root or choose a port above 1023", _PATIENCE
        )
        return 2
    except OSError as error:
        fix = "set `listen` to an address of this machine on which no other server runs"
        output.write(f"{where}: {error.strerror}; {fix}", _PATIENCE)
        return 2
    try:
        daemon.run()
    except StorageError as error:
        output.write(str(error), _PATIENCE)
        return 1
    finally:
        daemon.close()
    return 0
