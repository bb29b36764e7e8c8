"""What every part of a specification is."""

from __future__ import annotations

from typing import Any

from lq import yaml_file


class Part(yaml_file.Section):
    """A part of a specification: validated, not changed any more, each field with its unit and range."""


def one_is_a_list(values: Any) -> Any:
    """Let one name stand for a list of one: the validator of a field that takes several."""
    return (values,) if isinstance(values, str) else values
