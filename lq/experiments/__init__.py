"""Experiments: what to do (spec), doing it in a sealed lab (run, stage), and what came of it (record)."""
