"""One check for each row, in the order of the draft; each section's checks in its own file."""

from lq.conformance.checks import section_5, section_6_3, section_6_4, section_6_4_2, section_6_4_3
from lq.conformance.checks.by_row import CHECKS, RowCheck

__all__ = ["CHECKS", "RowCheck", "section_5", "section_6_3", "section_6_4", "section_6_4_2", "section_6_4_3"]
