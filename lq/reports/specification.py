"""A specification in few words: what differs from the defaults, and the command that gives it again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lq import yaml_file
from lq.errors import BadInput
from lq.experiments import spec as specification
from lq.experiments.spec import Spec

_OPTIONS = {
    "topology.figure": "--topology",
    "topology.modems": "--modems",
    "topology.hosts_per_modem": "--hosts-per-modem",
    "server.kind": "--server",
    "controller.framework": "--controller",
    "seed": "--seed",
}
_ROUNDS = 4  # one setting makes others usual, and these again


class Difference(NamedTuple):
    """A setting that is not the scenario's default; `meaning` has the unit."""

    key: str
    value: Any
    default: Any
    meaning: str


def values(spec: Spec) -> dict[str, Any]:
    """Return every setting by its dotted name, as YAML has it."""
    whole = spec.model_dump(mode="json")
    found = {}
    for key in specification.fields():
        inside: Any = whole
        for part in key.split("."):
            inside = inside[part]
        found[key] = inside
    return found


def differences(spec: Spec) -> list[Difference]:
    """Return what differs from the defaults of the scenario."""
    usual, fields = values(specification.load(spec.scenario, {})), specification.fields()
    return [
        Difference(key, value, usual[key], fields[key].meaning)
        for key, value in values(spec).items()
        if value != usual[key]
    ]


def settings(spec: Spec) -> dict[str, Any] | None:
    """Return the fewest settings that with the scenario's name give this specification again.

    None where they do not, which a specification of another version may bring about.
    """
    wanted = values(spec)
    chosen: dict[str, Any] = {}
    for _ in range(_ROUNDS):
        found = _loaded(spec.scenario, chosen)
        differing = {key: value for key, value in wanted.items() if found.get(key) != value}
        if found and not differing:
            break
        chosen |= differing or {key: value for key, value in wanted.items() if key != "scenario"}
    else:
        return None
    for key in list(chosen):
        fewer = {other: value for other, value in chosen.items() if other != key}
        if _loaded(spec.scenario, fewer) == wanted:
            chosen = fewer
    return chosen


def _loaded(scenario: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return values(specification.load(scenario, dict(chosen)))
    except BadInput:
        return {}


def command(spec: Spec) -> str | None:
    """Return the command line that repeats a run, for a shell; None if there is none but with the YAML."""
    chosen = settings(spec)
    return None if chosen is None else " ".join(["lq run", spec.scenario, *arguments(chosen)])


def arguments(chosen: Mapping[str, Any], *, options: Mapping[str, str] | None = None) -> list[str]:
    """Return the arguments that give these settings, each quoted for a shell."""
    named = _OPTIONS if options is None else options
    words = []
    for key, value in chosen.items():
        if key in named and value is not None:
            words += [named[key], shlex.quote(str(value))]
        else:
            words += ["--set", shlex.quote(f"{key}={written(key, value)}")]
    return words


def written(key: str, value: Any) -> str:
    """Return a value as `--set` takes it: as it is where that is read as the same, else as JSON."""
    plain = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, list):
        plain = f"[{','.join(map(str, value))}]"
    try:
        if yaml_file.parse(plain, key).data == value:
            return plain
    except yaml_file.YamlError:
        pass
    return json.dumps(value)


def whole(directory: Path, most: int) -> str:
    """Return the YAML of a run's specification, as it is repeated by. Raises BadInput if too long."""
    found = yaml_file.load(directory / "spec.yaml")
    text = yaml_file.dump(specification.read(found).model_dump(mode="json"))
    if len(text) > most:
        raise BadInput(
            f"{directory / 'spec.yaml'} has more than {most:,} characters, which is too long for a "
            "report: shorten it"
        )
    return text
