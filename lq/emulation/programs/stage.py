"""The program that runs inside the sealed lab: takes a specification from the channel, plays it, reports.

    python -m lq.emulation.programs.stage CHANNEL_FD

In: one object, `{"spec": ..., "run_dir": ...}`. Out: `{"progress": [what, done, of]}` as things
go on, then `{"result": ...}` or `{"error": line}`.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from lq.emulation.network import Emulation
from lq.errors import RunFailed
from lq.experiments.spec import Spec
from lq.sandbox.channel import Channel
from lq.scenarios.network import Network


def main(channel: Channel) -> int:
    """Play one run."""
    request = channel.receive()
    if request is None:
        return 1
    spec = Spec.model_validate(request["spec"])
    network: Network = Emulation(spec, Path(request["run_dir"]))
    try:
        result = spec.definition.played(network, channel.tell)
    except (RunFailed, RuntimeError) as error:
        channel.send({"error": str(error)})
        return 1
    except Exception as error:  # a fault of ours: the log has the traceback, the user gets the line
        traceback.print_exc()
        channel.send({"error": f"{type(error).__name__}: {error}"})
        return 1
    channel.send({"result": result.as_json()})
    return 0


if __name__ == "__main__":
    sys.exit(main(Channel.from_fd(int(sys.argv[1]))))
