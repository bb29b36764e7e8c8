"""One check for each row, in the order of the draft; each section's checks in its own file."""

from lq.conformance.checks import section_5, section_6_3, section_6_4, section_6_4_2, section_6_4_3
from lq.conformance.checks.registry import CHECKS, Check

__all__ = ["CHECKS", "Check", "section_5", "section_6_3", "section_6_4", "section_6_4_2", "section_6_4_3"]
