"""The specification of a run: validated, with units and ranges; every field can be set by its dotted name.

It is put together from the parts that all scenarios share (`lq.scenarios.parts`) and the scenarios' own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic import BaseModel, Field, ValidationError, create_model, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from lq import errors, yaml_file
from lq.scenarios import registry
from lq.scenarios.parts.common import Common, World
from lq.scenarios.scenario import Scenario

SCENARIOS = {name: scenario.question for name, scenario in registry.SCENARIOS.items()}
"""What each scenario asks, by its name."""

_SECTIONS: dict[str, Any] = {
    scenario.section: (scenario.options, scenario.options())
    for scenario in registry.SCENARIOS.values()
    if scenario.section is not None
}
if TYPE_CHECKING:
    _Name = str
    _Sections = World
else:
    _Name = Literal[tuple(SCENARIOS)]
    _Sections = create_model("_Sections", __base__=World, **_SECTIONS)


class Spec(Common, _Sections):
    """One run, completely."""

    scenario: _Name = Field("reboot", description="the experiment")

    @property
    def definition(self) -> Scenario[Any]:
        """The scenario that it is of."""
        return registry.SCENARIOS[self.scenario]

    @property
    def lengthens_way(self) -> bool:
        """Whether its scenario makes the way to the servers longer while it goes on."""
        return self.definition.lengthens_way(self.definition.options_in(self))

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, raw: Any) -> Any:
        """What one setting makes usual for others, unless they are given.

        A scenario has sizes of its own. A DSLAM that inserts option 82 is trusted on all circuits.
        """
        if not isinstance(raw, dict):
            return raw
        scenario, topology = registry.SCENARIOS.get(str(raw.get("scenario"))), raw.get("topology")
        usual: list[tuple[str, Mapping[str, Any]]] = []
        if scenario is not None:
            usual += [*scenario.sizes.items(), *scenario.further_sizes(raw).items()]
        if isinstance(topology, dict) and topology.get("intermediate_agent") in (True, "true"):
            usual.append(("concentrator", {"trusted_circuits": ("all",)}))
        for part, settings in usual:
            given = raw.get(part, {})
            if isinstance(given, dict):
                raw = {**raw, part: {**settings, **given}}
        return raw

    @model_validator(mode="after")
    def _fits(self) -> Spec:
        """Refuse what cannot be done, with the fix."""
        if problem := self.definition.refusal(self) or self.obstacle():
            raise PydanticCustomError("scenario", "{problem}", {"problem": problem})
        return self


def load(scenario_or_path: str | Path, settings: Mapping[str, Any] | None = None) -> Spec:
    """Return the specification that a scenario's name or a YAML file gives, with `settings` on top.

    `settings` maps dotted names (`probes.interval`) to values. Raises BadInput with one line.
    """
    errors.expect(scenario_or_path, (str, Path), "the scenario", 'give its name, such as "reboot"')
    settings = {} if settings is None else settings
    errors.expect(
        settings,
        Mapping,
        "the argument for the settings",
        'write names with values, such as {"wan.delay": 0.02}',
    )
    for name in settings:
        errors.expect(name, str, "the name of a setting", 'write it as "wan.delay"')
    scenario_or_path, document = str(scenario_or_path), None
    if scenario_or_path in SCENARIOS:
        raw: dict[str, Any] = {"scenario": scenario_or_path}
    elif scenario_or_path.endswith((".yaml", ".yml")):
        document = yaml_file.load(scenario_or_path)
        raw = _mapping(document)
    else:
        scenarios = ", ".join(SCENARIOS)
        said = errors.unknown("scenario", scenario_or_path, SCENARIOS)
        raise errors.BadInput(f"{said} (there is: {scenarios}, or give a .yaml file)")
    for name, value in settings.items():
        raw = _with(raw, name.split("."), value, name)
    return _validated(raw, document, settings)


def read(document: yaml_file.Document) -> Spec:
    """Return the specification that a file holds. Raises BadInput with one line: file, line and key."""
    return _validated(_mapping(document), document, {})


def _mapping(document: yaml_file.Document) -> dict[str, Any]:
    if not isinstance(document.data, dict):
        said = "expected settings, such as `scenario: reboot`"
        raise errors.BadInput(document.within([], said))
    return document.data


def _validated(raw: dict[str, Any], document: yaml_file.Document | None, settings: Mapping[str, Any]) -> Spec:
    try:
        return Spec.model_validate(raw)
    except ValidationError as error:
        said, keys = errors.first_problem(error, fields()), error.errors(include_url=False)[0]["loc"]
        if said.startswith("unknown key") and not said.endswith("?"):
            said += " (lq run --explain lists all)"
        name = ".".join(map(str, keys))
        of_file = document is not None and not any(f"{name}.".startswith(f"{key}.") for key in settings)
        raise errors.BadInput(document.within(keys, said) if document and of_file else said) from None


def _with(raw: Mapping[str, Any], path: Sequence[str], value: Any, name: str) -> dict[str, Any]:
    """Return `raw` with a value at a path; what aliases share is not changed in the other places."""
    root = inside = dict(raw)
    for part in path[:-1]:
        below = inside.get(part, {})
        if not isinstance(below, dict):
            raise errors.BadInput(f"{errors.shown(name)}: {errors.shown(part)} is a value and has no parts")
        inside[part] = inside = dict(below)
    inside[path[-1]] = value
    return root


def parse_setting(text: str) -> tuple[str, Any]:
    """Take `KEY=VALUE` apart; the value is read as YAML (numbers, true, false, text)."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise errors.BadInput(
            f"--set {errors.shown(text)}: write KEY=VALUE, for example --set probes.interval=0.1"
        )
    try:
        return name, yaml_file.parse(value, name).data
    except yaml_file.YamlError as error:
        raise errors.BadInput(f"--set {errors.shown(text)}: {error.said}") from None


class Setting(NamedTuple):
    """A field that can be set: what it means (with its unit), its values, and what it is if not given."""

    meaning: str
    values: str
    default: Any


def fields(model: type[BaseModel] = Spec, prefix: str = "") -> dict[str, Setting]:
    """Return every dotted name with what there is to know about it."""
    names: dict[str, Setting] = {}
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names.update(fields(kind, f"{prefix}{name}."))
        else:
            names[f"{prefix}{name}"] = Setting(info.description or "", _values(info), info.default)
    return names


def _values(info: FieldInfo) -> str:
    """Say in words which values a field takes."""
    kinds = [kind for kind in get_args(info.annotation) or (info.annotation,) if kind is not type(None)]
    if get_origin(info.annotation) is tuple:
        most = next(bound.max_length for bound in info.metadata if isinstance(bound, MaxLen))
        of = get_args(info.annotation)[0]
        names = f" of {', '.join(get_args(of))}" if get_origin(of) is Literal else ""
        return f"[NAME, ...]{names}, {most} at most"
    if get_origin(info.annotation) is Literal:
        return ", ".join(kinds)
    if bool in kinds:
        return "true, false"
    if str in kinds:
        return "text"
    bounds = {type(bound): bound for bound in info.metadata}
    low = f"above {_number(bounds[Gt].gt)}" if Gt in bounds else _number(bounds[Ge].ge)
    if Lt in bounds:
        return f"{low} to below {_number(bounds[Lt].lt)}"
    return f"{low} to {_number(bounds[Le].le)}" if Le in bounds else f"{low} or more"


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"
