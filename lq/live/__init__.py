"""The live lab from Python: a running network to look at and to disturb, in a notebook or a script.

```
from lq import Lab

with Lab("cable", modems=2, hosts_per_modem=2) as lab:
    lab.start_probes()
    lab.reboot()
    lab.hosts()
```

It needs no root. Everything runs in a sealed lab: its processes, interfaces and namespaces are gone when the
`Lab` is closed, when nothing refers to it any more (`lab = Lab(...)` once again closes the former one), or
when the process that holds it ends, in whatever way. Its directory `runs/live-...` goes, too, but for the
captures in it, if there are some. That of a process that was killed (SIGKILL) stays, and may be deleted.

Any number of threads may use a `Lab`. What is interrupted by Ctrl-C or a notebook's stop button is given up
in the lab, too: a command is killed, and a concentrator or server that was about to start is down.
"""

from lq.live.commands import Done, Job
from lq.live.lab import Lab

__all__ = ["Done", "Job", "Lab"]
