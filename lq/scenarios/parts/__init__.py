"""The parts of a specification that all scenarios share, and `common.Common`, which holds them."""
