"""A busy process, pinned to a core: `python -m lq.bench.busy CORE SECONDS`. It ends with who started it."""

import os
import sys
import time

from lq.sandbox import namespace

if __name__ == "__main__":
    namespace.die_with_parent()
    os.sched_setaffinity(0, {int(sys.argv[1])})
    deadline = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < deadline:
        pass
