"""Commands about the protocol: serve, query, conform, bench."""

from __future__ import annotations

import inspect
import json
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from lq.cli.shared import AsJson, app, finite, print_benchmark
from lq.errors import BadInput, RunFailed
from lq.progress import Bars

LONGEST = 3600  # seconds: the longest wait


class LogLevel(str, Enum):
    """How much the server writes while it serves."""

    error = "error"
    warning = "warning"
    info = "info"
    debug = "debug"


@app.command()
def serve(
    config: Annotated[Path, typer.Argument(help="YAML file with the server's configuration.")],
    counters: Annotated[
        Path | None,
        typer.Option(
            help="File for the counters, as JSON; written on SIGUSR1 and at the end.", metavar="FILE"
        ),
    ] = None,
    synthetic: Annotated[int, typer.Option(help="Store N made-up bindings first.", min=0, metavar="N")] = 0,
    import_leases: Annotated[
        Path | None, typer.Option(help="Import the lease file of an ISC dhcpd first.", metavar="FILE")
    ] = None,
    log: Annotated[
        LogLevel,
        typer.Option(help="Level of the log on standard error; info also lists every dropped message."),
    ] = LogLevel.warning,
) -> None:
    """Run the DHCP server alone, in the foreground.

    It prints `ready ADDRESS:PORT` when it listens. It prints its counters on SIGUSR1 and at the end.
    """
    from lq.server import daemon, importer
    from lq.server import synthetic as made_up

    if synthetic:
        typer.echo(f"{made_up.fill(config, synthetic)} made-up bindings stored", err=True)
    if import_leases is not None:
        typer.echo(importer.fill(config, import_leases), err=True)
    raise typer.Exit(daemon.serve(config, counters, log.value))


@app.command()
def query(
    server: Annotated[str, typer.Argument(help="Address of the server.")],
    giaddr: Annotated[
        str | None,
        typer.Option(
            help="An address of this machine, to which the answer goes. Required.", metavar="ADDRESS"
        ),
    ] = None,
    address: Annotated[str | None, typer.Option(help="Ask about this IP address.", metavar="IP")] = None,
    mac: Annotated[str | None, typer.Option(help="Ask about this hardware address.", metavar="MAC")] = None,
    htype: Annotated[int, typer.Option(help="Hardware type of --mac.", min=0, max=255)] = 1,
    client_id: Annotated[
        str | None, typer.Option(help="Ask about this client identifier: text, or octets such as 01:02:...")
    ] = None,
    dialect: Annotated[str, typer.Option(help="Wire format: rfc4388 or draft-03.")] = "rfc4388",
    timeout: Annotated[
        float,
        typer.Option(
            help="Seconds to wait for the first answer; each further wait is twice as long.",
            min=0.01,
            max=LONGEST,
            callback=finite,
        ),
    ] = 1.0,
    attempts: Annotated[int, typer.Option(help="Number of transmissions at most.", min=1, max=10)] = 4,
    port: Annotated[int, typer.Option(help="UDP port at both ends.", min=1, max=65535)] = 67,
    as_json: AsJson = False,
) -> None:
    """Send a DHCP server one leasequery: by IP address, hardware address or client identifier.

    Exit status: 0 active, 3 known, 4 unknown, 5 unimplemented, 6 no answer.
    """
    from lq.server import query as requester
    from lq.wire.dialect import dialect as named

    if giaddr is None:
        raise BadInput(
            "set --giaddr to an address of this machine, and ask with one of --address, --mac and --client-id"
        )
    try:
        numbers = named(dialect)
    except ValueError as error:
        raise BadInput(str(error)) from None
    result = requester.ask(
        server,
        giaddr=giaddr,
        address=address,
        hardware=mac,
        htype=htype,
        client_id=client_id,
        dialect=numbers,
        timeout=timeout,
        attempts=attempts,
        port=port,
    )
    typer.echo(result.json() if as_json else str(result))
    raise typer.Exit(result.exit_status)


BENCHMARKS = {
    "server": "leasequeries answered and leases granted per second, beside ISC dhcpd",
    "recovery": "locations recovered per second after a reboot, beside a bare reactive application",
    "forward": "packets per second through the concentrator, beside a learning bridge",
    "lab": "time for a network to come up and to vanish, beside stock Mininet",
    "flood": "queries and controller load under an endless scan of all addresses",
    "fidelity": "share of healthy runs that are valid, and of deliberately starved runs that are not",
    "durability": "effect of flipped bytes and SIGKILL on the server's database, beside SQLite alone",
}
QUICK: dict[str, dict[str, Any]] = {
    "server": {"rounds": 1, "queries": 50_000, "leases": 500, "large": False},
    "recovery": {"rounds": 1, "subscribers": 1000},
    "forward": {"rounds": 1, "modems": 50},
    "lab": {"rounds": 1, "modems": 10},
    "flood": {"addresses": 5000, "rate": 5000, "seconds": 20, "outside_seconds": 3},
    "fidelity": {"runs": 2},
    "durability": {"flips": 100, "kills": 5},
}


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help=f"Name of the benchmark: {', '.join(BENCHMARKS)}.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer and smaller rounds, for a first look.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a benchmark, together with the program that it is compared with."""
    from importlib import import_module

    from lq.errors import unknown

    if name not in BENCHMARKS:
        raise BadInput(f"{unknown('benchmark', name, BENCHMARKS)} (benchmarks: {', '.join(BENCHMARKS)})")
    size = QUICK[name] if quick else {}
    try:
        with Bars() as bar:
            result = import_module(f"lq.bench.{name}").run(**size, tell=bar.update)
    except RuntimeError as error:
        raise RunFailed(" ".join(str(error).split())) from None
    if as_json:
        typer.echo(json.dumps({"name": name, **result}))
    else:
        print_benchmark(result)


@app.command()
def conform(
    server: Annotated[
        str | None, typer.Option(help="Address of a running server.", metavar="ADDRESS")
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(help="Start this server in a sealed lab and judge it: builtin or dhcpd. Repeatable."),
    ] = None,
    dialect: Annotated[
        str | None,
        typer.Option(
            help="Wire format: rfc4388 or draft-03; default: rfc4388 with --server, both with --peer."
        ),
    ] = None,
    giaddr: Annotated[
        str | None,
        typer.Option(help="An address of this machine, in a subnet with a pool.", metavar="ADDRESS"),
    ] = None,
    other_giaddr: Annotated[
        str | None, typer.Option(help="A second address of this machine.", metavar="ADDRESS")
    ] = None,
    free: Annotated[str | None, typer.Option(help="A free address of a pool.", metavar="ADDRESS")] = None,
    outside: Annotated[
        str | None,
        typer.Option(
            help="An address in one of the server's subnets and outside its pools.", metavar="ADDRESS"
        ),
    ] = None,
    foreign: Annotated[
        str | None, typer.Option(help="An address that the server does not manage.", metavar="ADDRESS")
    ] = None,
    reserved: Annotated[
        str | None, typer.Option(help="An address that is reserved and not leased.", metavar="ADDRESS")
    ] = None,
    reserved_mac: Annotated[
        str | None, typer.Option(help="Hardware address of the reservation.", metavar="MAC")
    ] = None,
    reservation_as_active: Annotated[
        bool,
        typer.Option("--reservation-as-active", help="The server reports reservations as ACTIVE (R6.4-5)."),
    ] = False,
    longest_lease: Annotated[
        bool, typer.Option("--longest-lease", help="The server prefers the longest lease (R6.4.1-2).")
    ] = False,
    without_leasequery: Annotated[
        bool, typer.Option("--without-leasequery", help="The server is configured without leasequery (R5-3).")
    ] = False,
    unimplemented_type: Annotated[
        int | None, typer.Option(help="The server's message type for UNIMPLEMENTED.", min=19, max=255)
    ] = None,
    r_flag: Annotated[
        int | None, typer.Option(help="The server's bit for the R flag, as a number.", min=1, max=32767)
    ] = None,
    rows: Annotated[
        list[str] | None,
        typer.Option("--row", help="Check only this row, such as R6.4-4. Repeatable.", metavar="ID"),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(help="Seconds to wait for the first answer.", min=0.01, max=LONGEST, callback=finite),
    ] = 1.0,
    silence: Annotated[
        float,
        typer.Option(
            help="Seconds to wait where no answer is expected.", min=0.01, max=LONGEST, callback=finite
        ),
    ] = 0.5,
    short_lease: Annotated[
        int, typer.Option(help="Length of the lease that expires in the test, in seconds.", min=1, max=3600)
    ] = 2,
    patience: Annotated[
        float, typer.Option(help="Longest lease to wait for, in seconds.", min=1, max=86400, callback=finite)
    ] = 30.0,
    port: Annotated[int, typer.Option(help="UDP port at both ends.", min=1, max=65535)] = 67,
    report: Annotated[
        list[Path] | None,
        typer.Option(help="Write a report to this file, .html or .md. Repeatable.", metavar="FILE"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a DHCP server against the rules for leasequery, and print one line for each rule.

    The command plays clients and a relay agent. It leases about a dozen addresses, lets one expire, declines
    one, and releases the rest. Exit status: 1 if the server fails a MUST, 2 for bad input, else 0.
    """
    from lq.conformance import report as shown
    from lq.conformance.command_line import read_dialect, read_target
    from lq.conformance.peers import conform_peers
    from lq.conformance.suite import conform as judge

    if (server is None) == (not peer):
        raise BadInput("name either a running server with --server, or servers to start with --peer")
    if server is None:
        own = {
            "giaddr": giaddr,
            "other-giaddr": other_giaddr,
            "free": free,
            "outside": outside,
            "foreign": foreign,
            "reserved": reserved,
            "reserved-mac": reserved_mac,
            "reservation-as-active": reservation_as_active,
            "longest-lease": longest_lease,
            "without-leasequery": without_leasequery,
            "unimplemented-type": unimplemented_type,
            "r-flag": r_flag,
            "timeout": timeout,
            "silence": silence,
            "short-lease": short_lease,
            "patience": patience,
            "port": port,
        }
        usual = inspect.signature(conform).parameters
        for name, value in own.items():
            if value != usual[name.replace("-", "_")].default:
                raise BadInput(f"--{name} is only for a running server (--server): leave it out with --peer")
    for path in report or []:
        shown.check_path(path)
    with Bars() as bar:
        if server is None:
            dialects = {"dialects": [read_dialect(dialect).name]} if dialect else {}
            judged = conform_peers(peer or [], rows=rows or (), tell=bar.update, **dialects)
        else:
            spoken = read_dialect(dialect or "rfc4388", unimplemented_type, r_flag)
            addresses = {
                "giaddr": giaddr,
                "other_giaddr": other_giaddr,
                "free": free,
                "outside": outside,
                "foreign": foreign,
                "reserved": reserved,
            }
            target = read_target(
                server,
                spoken,
                addresses,
                reserved_mac,
                port=port,
                timeout=timeout,
                silence=silence,
                short_lease=short_lease,
                patience=patience,
                reservation_as_active=reservation_as_active,
                longest_lease=longest_lease,
                without_leasequery=without_leasequery,
            )
            judged = [shown.Judged(server, spoken.name, judge(target, rows or (), bar.update))]
    for path in report or []:
        shown.write(judged, path)
    width = Console().width if sys.stdout.isatty() else None
    typer.echo(shown.as_json(judged) if as_json else shown.text(judged, width))
    raise typer.Exit(shown.exit_status(judged))
