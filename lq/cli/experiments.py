"""Commands about experiments: run, show, shell, doctor, lab."""

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
        str | None, typer.Argument(help="Name of a scenario, or a .yaml file with a specification.")
    ] = None,
    topology: Annotated[str | None, typer.Option(help="Figure of the draft: cable or dsl.")] = None,
    backend: Annotated[
        str | None, typer.Option(help="The network's implementation: mininet (real packets).")
    ] = None,
    modems: Modems = None,
    hosts_per_modem: HostsPerModem = None,
    server: Annotated[str | None, typer.Option(help="DHCP server: builtin, dhcpd or dnsmasq.")] = None,
    controller: Annotated[
        str | None, typer.Option(help="Framework of the controller: ryu or os-ken.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Set any other field; see --explain. Repeatable.", metavar="KEY=VALUE"),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random choices.")] = None,
    out: Out = None,
    figures: Annotated[
        bool, typer.Option(help="Draw the figures now; `lq plot` can draw them later.")
    ] = True,
    as_json: AsJson = False,
    explain: Annotated[bool, typer.Option("--explain", help="List all fields with their meaning.")] = False,
) -> None:
    """Run one experiment in a sealed lab.

    --explain lists the scenarios with their questions.
    """
    from lq.experiments import spec as specification

    if explain:
        print_scenarios(specification.SCENARIOS)
        print_settings(specification.fields())
        return
    if scenario is None:
        raise BadInput(f"name a scenario ({', '.join(specification.SCENARIOS)}) or a .yaml file")
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
    topology: Annotated[str, typer.Argument(help="Figure of the draft: cable or dsl.", metavar="cable|dsl")],
    modems: Modems = None,
    hosts_per_modem: HostsPerModem = None,
    out: Annotated[
        Path | None, typer.Option(help="File for the picture: .png or .svg.", metavar="FILE")
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
    topology: Annotated[str, typer.Argument(help="Figure of the draft: cable or dsl.", metavar="cable|dsl")],
    modems: Modems = None,
    hosts_per_modem: HostsPerModem = None,
) -> None:
    """Start a live lab with leases, and open a Mininet prompt in it. The lab vanishes on exit."""
    from lq.experiments.run import shell as live

    raise typer.Exit(live(_topology(topology, modems, hosts_per_modem)))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Test what this machine can do, and tell how to fix what it cannot."""
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
            help=f"Working folder for copies of the notebooks; default: {WORKING_FOLDER}. A folder that "
            "already has notebooks of your own is opened without changes.",
            metavar="DIR",
        ),
    ] = None,
    edit: Annotated[
        bool, typer.Option("--edit", help="Open the original notebooks in the source tree.")
    ] = False,
    browser: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    port: Annotated[
        int,
        typer.Option(
            help="Port on the loopback interface of this machine; if it is in use, the next free one.",
            min=1,
            max=65535,
        ),
    ] = 8888,
) -> None:
    """Open JupyterLab on copies of the notebooks.

    Your changes are never overwritten: a new version of a notebook is put beside yours. A deleted copy is
    made again the next time.
    """
    from lq import copies

    if edit and directory is not None:
        raise BadInput(
            "--edit opens the notebooks of the source tree, DIR opens others: give only one of the two"
        )
    originals = Path(__file__).resolve().parents[2] / "notebooks"
    folder = originals if edit else directory or WORKING_FOLDER
    ours = not edit and (directory is None or copies.is_ours(folder))
    if (edit or ours) and not originals.is_dir():
        raise BadInput(
            "the installed package does not contain the notebooks: name a directory, or use a source tree"
        )
    for line in copies.fill(originals, folder) if ours else []:
        typer.echo(line, err=True)
    if not os.path.isdir(folder):  # also of a name that no file can have
        raise BadInput(f"{folder} is not a directory: name one that exists")
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
