"""Experiments, from outside the lab: the specification, one run, a sweep, and where their files go."""
