"""Programs that run as processes of their own in the sealed lab: `python -m lq.emulation.programs.NAME`."""
