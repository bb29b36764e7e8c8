"""Commands around experiments: run, show, shell, doctor, lab."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from lq.cli.shared import (
    AsJson,
    HostsPerModem,
    Modems,
    Out,
    app,
    print_checks,
    print_scenarios,
    print_settings,
    print_summary,
)
from lq.errors import BadInput
from lq.progress import Bars

WORKING_FOLDER = Path("lq-notebooks")


@app.command()
def run(
    scenario: Annotated[
        str | None, typer.Argument(help="A scenario's name, or a specification in a .yaml file.")
    ] = None,
    topology: Annotated[str | None, typer.Option(help="The draft's figure: cable or dsl.")] = None,
    backend: Annotated[str | None, typer.Option(help="What emulates the network: mininet.")] = None,
    modems: Modems = None,
    hosts_per_modem: HostsPerModem = None,
    server: Annotated[str | None, typer.Option(help="DHCP server: builtin, dhcpd or dnsmasq.")] = None,
    controller: Annotated[str | None, typer.Option(help="Controller framework: ryu or os-ken.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other field, as KEY=VALUE; see --explain.", metavar="KEY=VALUE"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    out: Out = None,
    figures: Annotated[bool, typer.Option(help="Draw them now; `lq plot` can later.")] = True,
    as_json: AsJson = False,
    explain: Annotated[bool, typer.Option("--explain", help="List the fields that can be set.")] = False,
) -> None:
    """Run one experiment in a sealed lab.

    --explain lists the scenarios, with the question that each asks.
    """
    from lq.experiments import spec as specification

    if explain:
        print_scenarios(specification.SCENARIOS)
        print_settings(specification.fields())
        return
    if scenario is None:
        raise BadInput(f"name a scenario: {', '.join(specification.SCENARIOS)}, or a .yaml file")
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

    from lq.experiments import directories
    from lq.experiments.run import run as play

    if out is not None:
        directories.refuse_used(out)
    with Bars() as bar:
        finished = play(spec, out, bar.update)
        if figures:
            from lq import plots  # takes a second to import

            bar.update("figures", 0, 1)
            plots.save(finished)
    if as_json:
        typer.echo(json.dumps(finished.summary))
    else:
        print_summary(finished.summary)


@app.command()
def show(
    topology: Annotated[str, typer.Argument(help="The draft's figure: cable or dsl.", metavar="cable|dsl")],
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
    topology: Annotated[str, typer.Argument(help="The draft's figure: cable or dsl.", metavar="cable|dsl")],
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
        print_checks(checks)
    if any(check.needed and not check.ok for check in checks):
        raise typer.Exit(1)


@app.command()
def lab(
    directory: Annotated[
        Path | None,
        typer.Argument(
            help=f"Working folder for copies of the notebooks, {WORKING_FOLDER} if not given; one with "
            "notebooks of your own is opened as it is.",
            metavar="DIR",
        ),
    ] = None,
    edit: Annotated[
        bool, typer.Option("--edit", help="Open the notebooks of the source tree themselves.")
    ] = False,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    port: Annotated[
        int, typer.Option(help="Port on this machine's loopback; the next free one.", min=1, max=65535)
    ] = 8888,
) -> None:
    """Open JupyterLab on copies of the notebooks.

    What you have changed in them is never overwritten: a new version of a notebook is put beside yours. A
    copy that is deleted is made anew the next time.
    """
    from lq import copies

    if edit and directory is not None:
        raise BadInput("--edit opens the notebooks of the source tree, DIR others: give one of the two")
    originals = Path(__file__).resolve().parents[2] / "notebooks"
    folder = originals if edit else directory or WORKING_FOLDER
    ours = not edit and (directory is None or copies.is_ours(folder))
    if (edit or ours) and not originals.is_dir():
        raise BadInput(
            "the notebooks are not part of the installed package: name a directory, or use a source tree"
        )
    for line in copies.fill(originals, folder) if ours else []:
        typer.echo(line, err=True)
    if not os.path.isdir(folder):  # also of a name that no file can have
        raise BadInput(f"{folder} is no directory")
    from jupyterlab.labapp import LabApp

    typer.echo(f"JupyterLab opens on {folder.resolve()}", err=True)
    options = [f"--ServerApp.root_dir={folder.resolve()}", f"--ServerApp.port={port}", "--allow-root"]
    options += ["--ServerApp.ip=127.0.0.1", "--LabApp.news_url=None"]  # nothing goes to or comes from outside
    LabApp.launch_instance([*options, *([] if browser else ["--no-browser"])])


def _topology(figure: str, modems: int | None, hosts_per_modem: int | None) -> Any:
    """Return a specification with this topology, validated."""
    from lq.experiments import spec as specification

    sizes = {"topology.modems": modems, "topology.hosts_per_modem": hosts_per_modem}
    chosen = {name: value for name, value in sizes.items() if value is not None}
    return specification.load("reboot", {"topology.figure": figure, **chosen})
