"""What `hijack` and `starve` share: attackers in the access network, with hosts and modems of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from pydantic import ValidationError

from lq.scenarios.parts.common import Common


class Sized(Protocol):
    """Options that tell how large a network they need."""

    def modems(self, behind: int) -> int:
        """Return how many modems it takes, with so many hosts behind each."""


class Validating(Protocol):
    """The type of such options."""

    def model_validate(self, obj: Any) -> Sized:
        """Return the options that these settings make. Raises ValidationError."""


def sizes(
    raw: Mapping[str, Any],
    section: str,
    options: Validating,
    behind: int,
    undefended: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Return what is usual: as many modems as it takes, and with `defences=false` none of them.

    `raw` is the specification as given, `behind` the usual number of hosts behind each modem, `undefended`
    what switches the defences off.
    """
    own = raw.get(section)
    off = isinstance(own, dict) and own.get("defences") in (False, "false")
    usual = {part: dict(values) for part, values in undefended.items()} if off else {}
    topology = raw.get("topology", {})
    try:
        given = int(topology.get("hosts_per_modem") or behind)
        modems = options.model_validate(raw.get(section, {})).modems(given)
    except (AttributeError, ValidationError, TypeError, ValueError, ZeroDivisionError):
        return usual  # what is wrong is said where all is validated
    usual["topology"] = {**usual.get("topology", {}), "hosts_per_modem": behind, "modems": modems}
    return usual


def no_nodes(spec: Common) -> str | None:
    """Return why there can be no attackers and victims, which are nodes with leases."""
    if spec.topology.population:
        return f"{spec.scenario}: attackers and victims are nodes, so topology.population=false"
    if spec.server.kind == "dnsmasq":
        return f"{spec.scenario}: leases of dnsmasq are not read; use server.kind=builtin or dhcpd"
    return None


def too_few_modems(spec: Common, options: Sized) -> str | None:
    """Return why the network is too small."""
    needed = options.modems(spec.topology.hosts_per_modem or 1)
    if (spec.topology.modems or 2) >= needed:
        return None
    return (
        f"{spec.scenario} needs hosts of their own behind {needed} modems: leave topology.modems out, "
        "raise it, or try less"
    )
