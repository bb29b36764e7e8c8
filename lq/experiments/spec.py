"""The specification of a run: validated, with units and ranges; every field can be set by its dotted name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lq import errors

SCENARIOS = {
    "reboot": "The concentrator loses its memory: how long until each subscriber is reachable again?",
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Topology(_Part):
    """Which figure, and how large."""

    figure: Literal["cable"] = Field("cable", description="the draft's figure")
    modems: int | None = Field(
        None, ge=1, le=1000, description="modems; the figure's own number if not given"
    )
    hosts_per_modem: int | None = Field(
        None, ge=1, le=250, description="hosts behind each modem; the figure's own numbers if not given"
    )


class Server(_Part):
    """The DHCP server."""

    kind: Literal["builtin"] = Field("builtin", description="which server answers")
    lease_time: int = Field(3600, ge=60, le=0x7FFFFFFF, description="seconds that a lease lasts")


class Controller(_Part):
    """The concentrator's control software."""

    framework: Literal["ryu"] = Field("ryu", description="controller framework")


class Concentrator(_Part):
    """How the concentrator behaves."""

    leasequery: bool = Field(True, description="ask the server for lost locations; false: gleaning only")
    window: int = Field(100, ge=1, le=10000, description="queries outstanding to a server at most (6.6)")
    retry_first: float = Field(
        1.0, ge=0.01, le=60, description="seconds until a query is sent again; doubles"
    )
    retry_last: float = Field(60.0, ge=0.01, le=600, description="seconds between two transmissions at most")
    server_timer: float = Field(
        10.0, ge=0.1, le=60, description="seconds of a server's silence until only one query polls it (6.6)"
    )
    known_time: float = Field(300.0, ge=0.1, le=86400, description="seconds that KNOWN is cached (6.5)")
    unknown_time: float = Field(300.0, ge=0.1, le=86400, description="seconds that UNKNOWN is cached (6.5)")
    circuit_queries: int = Field(
        50, ge=0, description="queries that one circuit may cause in a quota interval; 0: any number"
    )
    network_queries: int = Field(
        0, ge=0, description="queries that the network side may cause in a quota interval; 0: any number"
    )
    quota_interval: float = Field(10.0, ge=0.1, le=3600, description="seconds of a quota interval")


class Probes(_Part):
    """The traffic from the Internet to every subscriber."""

    interval: float = Field(0.05, ge=0.001, le=10, description="seconds between two probes to the same host")
    warmup: float = Field(1.0, ge=0, le=600, description="seconds of traffic before the reboot")


class Reboot(_Part):
    """The reboot and the time after it."""

    downtime: float = Field(0.0, ge=0, le=600, description="seconds between the kill and the new start")
    timeout: float = Field(10.0, gt=0, le=3600, description="seconds to wait for all subscribers to be back")
    settle: float = Field(1.0, ge=0, le=600, description="seconds to go on watching after the last came back")


class Spec(_Part):
    """One run, completely."""

    scenario: Literal["reboot"] = Field("reboot", description="the experiment")
    backend: Literal["mininet"] = Field("mininet", description="real packets in Mininet")
    seed: int = Field(1, ge=0, description="seed of everything random")
    topology: Topology = Topology()
    server: Server = Server()
    controller: Controller = Controller()
    concentrator: Concentrator = Concentrator()
    probes: Probes = Probes()
    reboot: Reboot = Reboot()


def load(scenario_or_path: str, settings: dict[str, Any]) -> Spec:
    """Return the specification that a scenario's name or a YAML file gives, with `settings` on top.

    `settings` maps dotted names (`probes.interval`) to values. Raises BadInput with one line.
    """
    if scenario_or_path in SCENARIOS:
        raw: Any = {"scenario": scenario_or_path}
    elif scenario_or_path.endswith((".yaml", ".yml")):
        raw = _read(Path(scenario_or_path))
    else:
        raise errors.BadInput(
            f"unknown scenario {scenario_or_path!r}: choose from {', '.join(SCENARIOS)}, or give a .yaml file"
        )
    for name, value in settings.items():
        _set(raw, name, value)
    try:
        return Spec.model_validate(raw)
    except ValidationError as error:
        raise errors.BadInput(errors.first_problem(error, fields())) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text())
    except OSError as error:
        raise errors.BadInput(f"cannot read {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise errors.BadInput(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise errors.BadInput(f"{path} must hold a mapping of settings, such as `scenario: reboot`")
    return raw


def _set(raw: dict[str, Any], name: str, value: Any) -> None:
    *path, last = name.split(".")
    for part in path:
        raw = raw.setdefault(part, {})
        if not isinstance(raw, dict):
            raise errors.BadInput(f"{name}: {part} is a value and has no parts")
    raw[last] = value


def parse_setting(text: str) -> tuple[str, Any]:
    """Take `KEY=VALUE` apart; the value is read as YAML (numbers, true, false, text)."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise errors.BadInput(f"--set {text}: write KEY=VALUE, for example --set probes.interval=0.1")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError:
        raise errors.BadInput(f"--set {text}: the value is not valid YAML") from None


def fields(model: type[BaseModel] = Spec, prefix: str = "") -> dict[str, str]:
    """Return every dotted name with its description."""
    names: dict[str, str] = {}
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names.update(fields(kind, f"{prefix}{name}."))
        else:
            names[f"{prefix}{name}"] = info.description or ""
    return names
