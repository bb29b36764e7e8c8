"""What a scenario is: everything that its file says of it, and the only place where it is said.

A module of `lq.scenarios` (or a package, for a long one) with a `SCENARIO` is found by itself
(`lq.scenarios.registry`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lq.progress import Progress
from lq.results.schema import Column
from lq.scenarios.network import Network
from lq.scenarios.outcome import Result
from lq.scenarios.parts.common import Common
from lq.scenarios.parts.part import Part

if TYPE_CHECKING:  # pandas takes long to import, and a lab has no use for it
    from lq.results.evidence import Evidence, Table

OptionsT = TypeVar("OptionsT", bound=Part)
Settings = Mapping[str, Mapping[str, Any]]
"""Values of fields, by the part of the specification and the field's name."""


class NoOptions(Part):
    """The options of a scenario that has none."""


def _no_further(raw: Mapping[str, Any]) -> Settings:
    return {}


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """A scenario that plays another one several times, each in a lab of its own, in place of a play.

    of         the other scenario's name
    part       the part of the specification that differs
    variants   what it has otherwise, by the name of each run
    keys       the keys of the summary that are set side by side
    check      raises BadInput where it cannot be done here
    told       says a run's keys in words
    """

    of: str
    part: str
    variants: Settings
    keys: Sequence[str]
    check: Callable[[], None]
    told: Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, kw_only=True)
class Scenario(Generic[OptionsT]):
    """A scenario.

    name, question   for people; the name is also what it is asked for by
    place            among all, in lists and in the specification; by name where that is equal
    options          the type of its own part of the specification
    section          that part's name, None without one; scenarios may share one
    sizes            defaults that differ from the usual ones
    further_sizes    the same by what is given, not validated yet
    refuses          why it cannot be played so, with the fix, or None
    lengthens_way    whether it makes the way to the servers longer while it goes on
    play             what is done, given the network and its options; None for a comparison
    comparison       what is done instead
    phase_columns    columns of the table `phases` that its phases add
    tables           further tables: their columns
    tabulate         makes them
    keys             further keys of the summary
    summarize        makes them
    attacked         its attacks have to outlast the concentrator's reboot
    one_reboot       all of it is one reboot, so sweeps of it show curves of recovery
    beginning        what happened at time zero where nothing rebooted, for the axes of figures
    drawn            the keys of the summary that figures of a sweep show; empty: the usual ones
    """

    name: str
    question: str
    place: int = 100
    options: type[OptionsT]
    section: str | None = None
    sizes: Settings = field(default_factory=dict)
    further_sizes: Callable[[Mapping[str, Any]], Settings] = _no_further
    refuses: Callable[[Common, OptionsT], str | None] = lambda spec, options: None
    lengthens_way: Callable[[OptionsT], bool] = lambda options: False
    play: Callable[[Network, OptionsT, Progress], Result] | None = None
    comparison: SideBySide | None = None
    phase_columns: Sequence[Column] = ()
    tables: Mapping[str, Sequence[Column]] = field(default_factory=dict)
    tabulate: Callable[[Common, OptionsT, Evidence], dict[str, Table]] | None = None
    keys: Sequence[Column] = ()
    summarize: Callable[[Common, OptionsT, Evidence], dict[str, Any]] | None = None
    attacked: bool = False
    one_reboot: bool = False
    beginning: str = "the phase began"
    drawn: Sequence[str] = ()

    def options_in(self, spec: Common) -> OptionsT:
        """Return its own part of a specification."""
        return self.options() if self.section is None else spec.part(self.options)

    def refusal(self, spec: Common) -> str | None:
        """Return why a specification of it cannot be played, with the fix; None where nothing is wrong."""
        return self.refuses(spec, self.options_in(spec))

    def played(self, network: Network, tell: Progress) -> Result:
        """Play it. Raises RunFailed."""
        assert self.play is not None, f"{self.name} has no play of its own"
        return self.play(network, self.options_in(network.spec), tell)

    def further_tables(self, spec: Common, evidence: Evidence) -> dict[str, Table]:
        """Return what it adds to a run's tables, by name."""
        return {} if self.tabulate is None else self.tabulate(spec, self.options_in(spec), evidence)

    def further_keys(self, spec: Common, evidence: Evidence) -> dict[str, Any]:
        """Return what it adds to a run's summary; its own tables are part of the evidence."""
        return {} if self.summarize is None else self.summarize(spec, self.options_in(spec), evidence)
