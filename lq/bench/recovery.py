"""`lq bench recovery`: locations recovered per second after a reboot, beside a bare reactive application.

A population leases its addresses through the concentrator. Then, in turns, a fresh controller takes the
bridge over, packets for all subscribers come at once, and every subscriber that a packet reaches counts as
recovered: ours asks the server about each and installs two flows, the bare one (`lq.bench.reactive`)
installs one and asks nobody. Both have one processor core to themselves, the switch another, and
the server and the traffic what is left of the two. The median of the rounds counts.

"All at once" means that a packet for every subscriber waits, and `OUTSTANDING` of them are under way at any
moment. With all in the same instant the switch would drop what it cannot hand to the controller, of either
application, and luck would be measured. The modems are `told`, they do not register: the bare application
knows no modems, and how long thousands take to register is another question.

A packet that is lost goes out again after a second, which is then most of what the round takes. Such rounds
are flagged (`resent`), and do not count where at least half of the rounds had none. Else all count, and the
figure is not `valid`.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from controllers.settings import FRAMEWORKS
from lq.bench.cases import Case, case, doubtful
from lq.bench.program import Tell, play
from lq.emulation.controller import PORT, listening
from lq.emulation.network import Emulation
from lq.emulation.processes import Process, cpu_seconds, end, python
from lq.emulation.subscribers.population import PopulationSubscribers
from lq.experiments.spec import Spec
from lq.sandbox.channel import Channel
from topologies import plan

GOAL = 1.0
UNIT = "recovered/s"
HOSTS_PER_MODEM = 4
OUTSTANDING = 256  # packets under way: more than the controller takes in at once, less than the switch loses
CONTROLLER_CORE, SWITCH_CORE = 0, 1


def run(rounds: int = 5, subscribers: int = 10_000, tell: Tell = lambda *_: None) -> Case:
    """Run the benchmark in a lab; the result as `lq bench NAME --json` has it.

    Samples have `rate` (recovered per second), `rate_per_cpu_s` (per second of the controller's processor
    time), `started_s` (from the controller's start until it held the bridge), what was `sent` and `received`,
    `resent` (packets that had to be sent again), and ours `queries`, transmissions of leasequeries.
    Raises RuntimeError with the reason if a part fails.
    """
    return play("lq.bench.recovery", [f"--rounds={rounds}", f"--subscribers={subscribers}"], tell)


class RecoveryBenchmark:
    """A network whose subscribers have leases, and its controllers one after the other."""

    def __init__(self, directory: Path, subscribers: int, tell: Tell) -> None:
        self._directory = directory
        self.lab = lab = Emulation(_spec("ryu", subscribers), directory)
        for path in (lab.raw, lab.logs):
            path.mkdir()
        tell("leases", 0, subscribers)
        lab.build()
        _pin(lab.switch.processes["ovs-vswitchd"].pid, SWITCH_CORE)
        lab.start()
        leases = lab.lease_all(tell)
        assert isinstance(lab.subscribers, PopulationSubscribers)
        assert lab.subscribers.process is not None
        lab.subscribers.process.send_signal(signal.SIGSTOP)  # it would answer; here it only receives
        self._subscribers = subscribers
        self._targets = directory / "targets.json"
        macs = (plan.host_mac(number) for number in itertools.count(1))
        self._targets.write_text(json.dumps(list(zip(leases.values(), macs, strict=False))))
        lab.kill_controller()

    def ours(self, framework: str) -> Case:
        """Recover all with our application."""
        with self._ours(framework) as (process, started):
            sample = self._burst(process) | {"started_s": started}
        sample["queries"] = sum(line["event"] == "query" for line in self.lab.control.record())
        if sample["misdelivered"]:
            raise RuntimeError(f"{sample['misdelivered']} packets reached another than they were for")
        return sample

    @contextlib.contextmanager
    def _ours(self, framework: str) -> Iterator[tuple[Process, float]]:
        lab = self.lab
        lab.spec = _spec(framework, self._subscribers)
        begin = time.monotonic()
        ready = lab.start_controller()
        process = lab.control.process
        assert process is not None
        _pin(process.pid, CONTROLLER_CORE)
        try:
            yield process, ready - begin
        finally:
            lab.kill_controller()

    def bare(self, framework: str) -> Case:
        """Have the bare application do what it takes for the same packets to arrive."""
        with self._bare(framework) as (process, started):
            return self._burst(process, "--unaddressed") | {"started_s": started}

    @contextlib.contextmanager
    def _bare(self, framework: str) -> Iterator[tuple[Process, float]]:
        programs, bridge = self.lab.programs, self.lab.concentrator
        begin = time.monotonic()
        setting = f"LQ_CONTROLLER_FRAMEWORK={framework}"
        process = programs.launch("bare", ["env", setting, *python("lq.bench.reactive", str(PORT))])
        try:
            programs.wait_for(lambda: listening(PORT), "bare", process)
            bridge.connect_to(f"tcp:127.0.0.1:{PORT}")
            programs.await_line("bare", process)
            started = time.monotonic() - begin
            _pin(process.pid, CONTROLLER_CORE)
            yield process, started
        finally:
            end(process, signal.SIGKILL)
            bridge.disconnect()
            bridge.forget_flows()

    def _burst(self, controller: Process, *options: str) -> Case:
        """Send to all until all are reached. Raises RuntimeError if some are not."""
        net = self.lab.net
        uplink, access = net["network"], net["population"]
        ends = {"--from": (uplink, "network-eth0"), "--to": (access, access.defaultIntf().name)}
        command = python("lq.bench.burst", str(self._targets), f"--outstanding={OUTSTANDING}", *options)
        for option, (node, interface) in ends.items():
            command += [option, str(node.pid), interface]
        used = cpu_seconds(controller)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the traffic failed: {done.stderr.strip()[-1000:]}")
        sample: Case = json.loads(done.stdout)
        sample["resent"] = sample["sent"] - self._subscribers
        sample["cpu_s"] = cpu_seconds(controller) - used
        sample["rate_per_cpu_s"] = sample["recovered"] / sample["cpu_s"] if sample["cpu_s"] else 0.0
        if sample["recovered"] < self._subscribers:
            raise RuntimeError(f"only {sample['recovered']} of {self._subscribers} subscribers were reached")
        return sample


def _spec(framework: str, subscribers: int) -> Spec:
    return Spec.model_validate(
        {
            "topology": {
                "modems": subscribers // HOSTS_PER_MODEM,
                "hosts_per_modem": HOSTS_PER_MODEM,
                "population": True,
            },
            "modems": {"registration": "told"},
            "server": {"lease_time": 86400},
            "controller": {"framework": framework},
        }
    )


def _pin(pid: int, core: int) -> None:
    """Keep all threads of a process on one core, where there are several."""
    if len(os.sched_getaffinity(0)) > 1:
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), {core})


def measure(measuring: RecoveryBenchmark, rounds: int, tell: Tell) -> Case:
    """Take turns; return the result."""
    ours: dict[str, list[Case]] = {name: [] for name in FRAMEWORKS}
    bare: dict[str, list[Case]] = {name: [] for name in FRAMEWORKS}
    for number in range(rounds):
        tell("rounds", number, rounds)
        for name in FRAMEWORKS:
            bare[name].append(measuring.bare(name))
            ours[name].append(measuring.ours(name))
    tell("rounds", rounds, rounds)
    result, *cases = (
        compare(f"recovery on {name}", ours[name], bare[name], f"bare application on {name}")
        for name in FRAMEWORKS
    )
    per_second = [
        case(
            f"{each['name']}, per processor second",
            UNIT,
            each["ours_per_cpu_s"],
            each["peer_per_cpu_s"],
            GOAL,
            each["peer_name"],
        )
        for each in (result, *cases)
    ]
    return result | {"cases": [*cases, *per_second]}


def compare(name: str, ours: list[Case], peer: list[Case], peer_name: str) -> Case:
    """Return one framework's figures, by the rounds in which nothing was sent again if these suffice."""
    doubts = []

    def counting(whose: str, samples: list[Case]) -> list[Case]:
        smooth = [sample for sample in samples if not sample["resent"]]
        rough = len(samples) - len(smooth)
        if rough <= len(smooth):
            return smooth
        doubts.append(f"{whose}: packets had to be sent again in {rough} of {len(samples)} rounds")
        return samples

    result = case(name, UNIT, counting("ours", ours), counting(peer_name, peer), GOAL, peer_name)
    return doubtful(result | {"samples": ours, "peer_samples": peer}, doubts)


def main() -> int:
    """Run inside the lab, send the result through the channel."""
    parser = argparse.ArgumentParser(prog="python -m lq.bench.recovery")
    parser.add_argument("channel", type=int)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--subscribers", type=int, required=True)
    arguments = parser.parse_args()
    channel = Channel.from_fd(arguments.channel)
    measuring = RecoveryBenchmark(arguments.directory, arguments.subscribers, channel.tell)
    channel.send(measure(measuring, arguments.rounds, channel.tell))
    return 0


if __name__ == "__main__":
    sys.exit(main())
