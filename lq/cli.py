"""The command line. Each command is thin: it reads options, calls the library, prints."""

from __future__ import annotations

import json
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from lq import __version__
from lq.errors import BadInput, RunFailed

app = typer.Typer(
    help="A broadband access network in a box, to study DHCP leasequery (RFC 4388).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_stderr = Console(stderr=True)
_options_given = {"debug": False}


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    _options_given["debug"] = debug
    if version:
        typer.echo(f"lq {__version__}")
        raise typer.Exit


# -- options that several commands share

Modems = Annotated[int | None, typer.Option(help="Modems; the figure's own two if not given.", metavar="M")]
HostsPerModem = Annotated[
    int | None, typer.Option(help="Hosts behind each modem; the figure's own if not given.", metavar="H")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Out = Annotated[Path | None, typer.Option(help="Directory for the files, new or empty.", metavar="DIR")]


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(help="A scenario's name, or a specification in a .yaml file.")],
    topology: Annotated[str | None, typer.Option(help="The draft's figure: cable.")] = None,
    backend: Annotated[str | None, typer.Option(help="How the network is had: mininet.")] = None,
    modems: Modems = None,
    hosts_per_modem: HostsPerModem = None,
    server: Annotated[str | None, typer.Option(help="DHCP server: builtin.")] = None,
    controller: Annotated[str | None, typer.Option(help="Controller framework: ryu.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other field, as KEY=VALUE; see --explain.", metavar="KEY=VALUE"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    out: Out = None,
    as_json: AsJson = False,
    explain: Annotated[bool, typer.Option("--explain", help="List the fields that can be set.")] = False,
) -> None:
    """Run one experiment in a sealed lab.

    Scenarios: reboot (the concentrator loses its memory; how long until each subscriber is reachable?).
    """
    from lq.experiments import spec as specification

    if explain:
        _explain(specification.fields())
        return
    named = {
        "topology.figure": topology,
        "backend": backend,
        "topology.modems": modems,
        "topology.hosts_per_modem": hosts_per_modem,
        "server.kind": server,
        "controller.framework": controller,
        "seed": seed,
    }
    chosen: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    chosen.update(specification.parse_setting(text) for text in settings or [])
    spec = specification.load(scenario, chosen)

    from lq import plots
    from lq.experiments.run import run as play

    with _Bar() as bar:
        finished = play(spec, out, bar.update)
        bar.update("figures", 0, 1)
        plots.save(finished)
    if as_json:
        typer.echo(json.dumps(finished.summary))
    else:
        _print_summary(finished.summary)


@app.command()
def plot(
    run_dirs: Annotated[
        list[Path], typer.Argument(help="Directories of finished runs.", metavar="RUN_DIR...")
    ],
) -> None:
    """Draw the figures of finished runs, as PNG and SVG."""
    from lq import plots
    from lq.experiments.run import Run

    for run_dir in run_dirs:
        for path in plots.save(Run(run_dir)):
            typer.echo(path)


@app.command()
def show(
    topology: Annotated[str, typer.Argument(help="The draft's figure: cable.")],
    modems: Modems = None,
    hosts_per_modem: HostsPerModem = None,
    out: Annotated[
        Path | None, typer.Option(help="The picture's file, .png or .svg.", metavar="FILE")
    ] = None,
) -> None:
    """Draw the network as a picture."""
    from lq import drawing

    _topology(topology, modems, hosts_per_modem)
    path = out or Path(f"{topology}.png")
    drawing.draw(topology, modems, hosts_per_modem, path)
    typer.echo(path)


@app.command()
def shell(
    topology: Annotated[str, typer.Argument(help="The draft's figure: cable.")],
    modems: Modems = None,
    hosts_per_modem: HostsPerModem = None,
) -> None:
    """Start the live lab, with leases, and give a Mininet prompt in it. Everything vanishes on exit."""
    from lq.experiments.run import shell as live

    raise typer.Exit(live(_topology(topology, modems, hosts_per_modem)))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what this machine can do, and how to mend what it cannot."""
    from lq import doctor as machine

    checks = machine.check()
    if as_json:
        typer.echo(json.dumps([vars(check) for check in checks]))
    else:
        _print_checks(checks)
    if any(check.needed and not check.ok for check in checks):
        raise typer.Exit(1)


class LogLevel(str, Enum):
    """How much the server writes while it serves."""

    error = "error"
    warning = "warning"
    info = "info"
    debug = "debug"


@app.command()
def serve(
    config: Annotated[Path, typer.Argument(help="The server's configuration, in YAML.")],
    counters: Annotated[
        Path | None,
        typer.Option(help="Write the counters there as JSON, at SIGUSR1 and at the end.", metavar="FILE"),
    ] = None,
    synthetic: Annotated[
        int, typer.Option(help="First store so many made-up bindings.", min=0, metavar="N")
    ] = 0,
    import_leases: Annotated[
        Path | None, typer.Option(help="First import the lease file of an ISC dhcpd.", metavar="FILE")
    ] = None,
    log: Annotated[
        LogLevel, typer.Option(help="What to write on standard error; from info on, each refusal.")
    ] = LogLevel.warning,
) -> None:
    """Run the DHCP server on its own, in the foreground.

    It prints `ready ADDRESS:PORT` when it listens, and its counters at SIGUSR1 and at the end.
    """
    from lq.server import daemon, importer
    from lq.server import synthetic as made_up

    if synthetic:
        typer.echo(f"{made_up.fill(config, synthetic)} bindings made up", err=True)
    if import_leases is not None:
        typer.echo(f"{importer.fill(config, import_leases)} bindings imported", err=True)
    raise typer.Exit(daemon.serve(config, counters, log.value))


@app.command()
def query(
    server: Annotated[str, typer.Argument(help="The server's address.")],
    giaddr: Annotated[str, typer.Option(help="Our own address, to which the answer comes.")],
    address: Annotated[str | None, typer.Option(help="Ask by IP address.", metavar="IP")] = None,
    mac: Annotated[str | None, typer.Option(help="Ask by hardware address.", metavar="MAC")] = None,
    htype: Annotated[int, typer.Option(help="Hardware type of --mac.", min=0, max=255)] = 1,
    client_id: Annotated[
        str | None, typer.Option(help="Ask by client identifier: text, or octets as 01:02:...")
    ] = None,
    dialect: Annotated[str, typer.Option(help="rfc4388 or draft-03.")] = "rfc4388",
    timeout: Annotated[float, typer.Option(help="Seconds to wait first; doubles.", min=0.01)] = 1.0,
    attempts: Annotated[int, typer.Option(help="How often to send it.", min=1, max=10)] = 4,
    port: Annotated[int, typer.Option(help="UDP port on both sides.", min=1, max=65535)] = 67,
    as_json: AsJson = False,
) -> None:
    """Ask a DHCP server one leasequery, in one of the three forms.

    Exit status: 0 active, 3 known, 4 unknown, 5 unimplemented, 6 no answer.
    """
    from lq.server import query as requester
    from lq.wire.dialect import dialect as named

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


BENCHMARKS = {"server": "leasequeries answered and leases granted per second, beside ISC dhcpd"}


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="The benchmark: server.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="Smaller and fewer rounds, for a first look.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run a benchmark, each beside its peer in the same run."""
    from lq.errors import unknown

    if name not in BENCHMARKS:
        raise BadInput(f"{unknown('benchmark', name, BENCHMARKS)} (there is: {', '.join(BENCHMARKS)})")
    from lq.bench import server as server_bench

    size: dict[str, Any] = {"rounds": 1, "queries": 50_000, "leases": 500, "large": False} if quick else {}
    try:
        result = server_bench.run(**size)
    except RuntimeError as error:
        raise RunFailed(" ".join(str(error).split())) from None
    if as_json:
        typer.echo(json.dumps({"name": name, **result}))
    else:
        _print_benchmark(result)


@app.command()
def lab() -> None:
    """Open JupyterLab on the notebooks."""
    from jupyterlab.labapp import LabApp

    notebooks = Path(__file__).resolve().parents[1] / "notebooks"
    if not notebooks.is_dir():
        raise BadInput("the notebooks are not part of the installed package: run `lq lab` in a source tree")
    LabApp.launch_instance([f"--notebook-dir={notebooks}"])


def _topology(figure: str, modems: int | None, hosts_per_modem: int | None) -> Any:
    """Return a specification with this topology, validated."""
    from lq.experiments import spec as specification

    sizes = {"topology.modems": modems, "topology.hosts_per_modem": hosts_per_modem}
    chosen = {name: value for name, value in sizes.items() if value is not None}
    return specification.load("reboot", {"topology.figure": figure, **chosen})


# -- what people see


class _Bar:
    """A progress bar on standard error; silent where that is not a terminal."""

    def __init__(self) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<10}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            console=_stderr,
            transient=True,
            disable=not _stderr.is_terminal,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` of something is done."""
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total)
        self._bar.update(self._tasks[what], completed=done, total=total)


def _print_summary(summary: dict[str, Any]) -> None:
    table = Table(title=f"{summary['scenario']} on {summary['topology']}", show_header=False)
    table.add_column(style="cyan")
    table.add_column(justify="right")
    for key, value in summary.items():
        if key in ("scenario", "topology", "invalid_reasons", "run_dir"):
            continue
        shown = "-" if value is None else str(value)
        if isinstance(value, float):
            shown = f"{value * 1000:.1f} ms" if key.startswith("recovery") else f"{value:.3g}"
        table.add_row(key.replace("_", " "), shown)
    console = Console()
    console.print(table)
    for reason in summary["invalid_reasons"]:
        console.print(f"[bold red]not valid:[/] {reason}")
    console.print(f"Everything is in {summary['run_dir']}", soft_wrap=True)


def _print_benchmark(result: dict[str, Any]) -> None:
    table = Table(show_edge=False)
    table.add_column("measured")
    for heading in ("ours", "peer", "unit", "ratio", "goal", "beside"):
        table.add_column(heading, justify="left" if heading in ("unit", "beside") else "right")
    for case in [result, *result["cases"]]:
        ours, peer, ratio, goal = (
            "-" if case.get(key) is None else f"{case[key]:,.3g}" if case[key] < 100 else f"{case[key]:,.0f}"
            for key in ("ours", "peer", "ratio", "goal")
        )
        table.add_row(case["name"], ours, peer, case["unit"], ratio, goal, case.get("peer_name") or "-")
    Console().print(table)


def _print_checks(checks: list[Any]) -> None:
    table = Table(show_edge=False)
    for heading in ("", "what", "found", "to mend it"):
        table.add_column(heading, overflow="fold")
    for check in checks:
        mark = "[green]yes[/]" if check.ok else ("[bold red]NO[/]" if check.needed else "[yellow]no[/]")
        table.add_row(mark, check.name, check.found, "" if check.ok else check.fix)
    Console().print(table)


def _explain(fields: dict[str, str]) -> None:
    table = Table(show_edge=False)
    table.add_column("key", style="cyan", no_wrap=True)
    table.add_column("meaning")
    for name, meaning in fields.items():
        table.add_row(name, meaning)
    Console().print(table)


def _fail(line: str, status: int) -> NoReturn:
    typer.echo(f"lq: {line}", err=True)
    sys.exit(status)


def main() -> None:
    """Run the command line; errors are one line on standard error (2: bad input, 1: it failed)."""
    try:
        status = app(standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        _fail("interrupted", 130)
    except Exception as error:
        from lq.sandbox.lab import LabError

        if hasattr(error, "format_message"):  # the parser's own errors, whichever parser typer brings
            _fail(" ".join(error.format_message().split()), 2)
        if _options_given["debug"]:
            raise
        if isinstance(error, BadInput):
            _fail(str(error), 2)
        if isinstance(error, (RunFailed, LabError)):
            _fail(str(error), 1)
        _fail(f"{type(error).__name__}: {error} (--debug shows where)", 1)
    sys.exit(status if isinstance(status, int) else 0)
