"""The program that runs inside the sealed lab: takes a specification from the channel, plays it, reports.

    python -m lq.emulation.programs.stage CHANNEL_FD

In: one object, `{"spec": ..., "run_dir": ...}`. Out: `{"progress": [what, done, of]}` as things
go on, then `{"result": ...}` or `{"error": line}`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lq.emulation.network import Emulation
from lq.errors import RunFailed
from lq.experiments.spec import Spec
from lq.sandbox.answering import answer
from lq.sandbox.channel import Channel
from lq.scenarios.network import Network


def main(channel: Channel) -> int:
    """Play one run."""

    def played(request: Mapping[str, Any]) -> dict[str, Any]:
        spec = Spec.model_validate(request["spec"])
        network: Network = Emulation(spec, Path(request["run_dir"]))
        return {"result": spec.definition.played(network, channel.tell).as_json()}

    return answer(channel, played, RunFailed, RuntimeError)


if __name__ == "__main__":
    sys.exit(main(Channel.from_fd(int(sys.argv[1]))))
