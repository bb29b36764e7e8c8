"""WAN links: what becomes of each frame, netem's command line, and the delay line measured."""

from __future__ import annotations

import itertools
import re
import statistics

import pytest

from lq.errors import RunFailed
from lq.experiments.fidelity import wan_reasons
from lq.experiments.programs import Programs, python
from lq.experiments.spec import Spec
from lq.experiments.wan import Wan
from tests import support
from topologies import plan
from topologies.wan import Direction, Impairment, netem_command

FRAME = bytes(125)  # 1000 bits


def departures(direction: Direction, until: float = float("inf")) -> list[float]:
    """Let every frame leave exactly when it is due; return when."""
    moments = []
    while (moment := direction.deadline) < until:
        assert direction.leave(moment - 1e-9) is None
        assert direction.leave(moment) is not None
        moments.append(moment)
    return moments


def test_a_delay_is_the_same_for_all():
    direction = Direction(Impairment(delay=0.02), "1")
    for number in range(5):
        direction.take(FRAME, number * 0.001)
    assert departures(direction) == pytest.approx([0.020, 0.021, 0.022, 0.023, 0.024])
    assert direction.report() == {"taken": 5, "lost": 0, "overflowed": 0, "left": 5, "late": 0}


def test_jitter_is_uniform_around_the_delay_and_frames_may_overtake():
    direction = Direction(Impairment(delay=0.02, jitter=0.005, limit=10_000), "1")
    for number in range(10_000):
        direction.take(number.to_bytes(4, "big"), 0.0)
    order, moments = [], []
    while (moment := direction.deadline) < float("inf"):
        order.append(int.from_bytes(direction.leave(moment), "big"))
        moments.append(moment)
    assert order != sorted(order)
    assert 0.015 <= min(moments) < 0.0151
    assert 0.0249 < max(moments) <= 0.025
    assert statistics.mean(moments) == pytest.approx(0.02, rel=0.01)
    assert statistics.stdev(moments) == pytest.approx(0.01 / 12**0.5, rel=0.05)


def test_loss_is_the_share_asked_for_and_follows_from_the_seed():
    def lost(seed: str) -> int:
        direction = Direction(Impairment(loss=0.2, limit=100_000), seed)
        for _ in range(10_000):
            direction.take(FRAME, 0.0)
        return direction.report()["lost"]

    assert 1800 < lost("1") < 2200  # five standard deviations
    assert lost("1") == lost("1") != lost("2")


def test_a_rate_spaces_frames_out_in_their_order():
    direction = Direction(Impairment(delay=0.02, jitter=0.02, rate=1e6), "1")
    for number in range(100):
        direction.take(number.to_bytes(125, "big"), 0.0)
    moments, order = [], []
    while (moment := direction.deadline) < float("inf"):
        order.append(int.from_bytes(direction.leave(moment), "big"))
        moments.append(moment)
    assert order == list(range(100))
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    assert min(gaps) >= 0.001 - 1e-9
    assert 0.1 <= moments[-1] <= 0.2


def test_a_full_link_drops_and_counts():
    direction = Direction(Impairment(delay=1.0, limit=10), "1")
    for _ in range(25):
        direction.take(FRAME, 0.0)
    assert direction.report()["overflowed"] == 15
    assert len(departures(direction)) == 10


def test_lateness_is_counted():
    direction = Direction(Impairment(delay=0.1), "1")
    for moment in (0.105, 0.111):  # a tenth of the delay is allowed
        direction.take(FRAME, 0.0)
        direction.leave(moment)
    assert (direction.left, direction.late) == (2, 1)
    direction.count_anew()
    assert (direction.left, direction.late) == (0, 0)


@pytest.mark.parametrize(
    ("impairment", "arguments"),
    [
        (Impairment(delay=0.02), "limit 1000 delay 20000us"),
        (Impairment(delay=0.02, jitter=0.0025, limit=5), "limit 5 delay 20000us 2500us"),
        (Impairment(loss=0.2), "limit 1000 loss random 20%"),
        (Impairment(rate=1.5e6), "limit 1000 rate 1500000bit"),
        (
            Impairment(delay=1.0, jitter=0.5, loss=0.005, rate=1e9),
            "limit 1000 delay 1000000us 500000us loss random 0.5% rate 1000000000bit",
        ),
    ],
)
def test_the_same_for_netem(impairment, arguments):
    command = netem_command("eth0", impairment)
    assert " ".join(command) == f"tc qdisc replace dev eth0 root netem {arguments}"


# -- the delay line on real packets

DELAY = 0.02


def emulators() -> list[str]:
    """Return what the kernel has: it is asked in a network namespace that is thrown away."""
    code = "from topologies.wan import has_netem; print(has_netem())"
    asking = ["unshare", "--user", "--map-root-user", "--net", *support.LQ[:3], "-c", code]
    return ["user-space", *(["netem"] if support.run(asking).stdout == "True\n" else [])]


@pytest.fixture(scope="module")
def link(lab):
    return lab(Spec(wan={"delay": DELAY, "emulator": "user-space"}), "bridges")


@pytest.fixture(scope="module")
def kernels_link(lab):
    return lab(Spec(wan={"delay": DELAY, "emulator": "netem"}), "bridges")


def quietest(link, options: str) -> float:
    """Return the least of five medians of round trips: who shares the machine only ever adds to one."""
    return min(statistics.median(round_trips(link, options)) for _ in range(5))


def round_trips(link, options: str) -> list[float]:
    """Ping the server from the network's router; return the round trips in seconds."""
    link("cmd", "network", f"ping -c1 -W5 {plan.SERVER}")  # so that ARP is done
    said = link("cmd", "network", f"ping {options} -W5 {plan.SERVER}")
    return [float(number) / 1000 for number in re.findall(r"time=([\d.]+) ms", said)]


@pytest.mark.lab
@pytest.mark.alone
@pytest.mark.parametrize("emulator", emulators())
def test_a_link_of_20_ms_takes_20_ms(emulator, request):
    link = request.getfixturevalue("link" if emulator == "user-space" else "kernels_link")
    link("change_wan", {"delay": DELAY})
    assert 2 * DELAY <= quietest(link, "-c 20 -i 0.02") <= 2 * DELAY * 1.1


@pytest.mark.lab
def test_jitter_spreads_the_times(link):
    link("change_wan", {"delay": DELAY, "jitter": 0.01})
    times = round_trips(link, "-c 100 -i 0.01")
    assert len(times) == 100
    assert min(times) >= 2 * (DELAY - 0.01)
    assert statistics.stdev(times) > 0.5 * 0.02 / 6**0.5  # of the sum of two uniform ones


@pytest.mark.lab
def test_loss_on_counted_packets(link):
    link("change_wan", {"loss": 0.2})
    times = round_trips(link, "-c 500 -i 0.002")
    [line] = link("change_wan", {"delay": DELAY}).values()
    there, back = line["directions"]
    assert line["missed"] == 0
    assert 500 <= there["taken"] <= 510  # the pings, and ARP
    for way in line["directions"]:
        assert abs(way["lost"] - 0.2 * way["taken"]) < 5 * (0.16 * way["taken"]) ** 0.5
    assert back["taken"] - back["lost"] - len(times) in range(0, 10)


@pytest.mark.lab
def test_more_than_the_link_can_hold_is_counted_and_makes_a_run_invalid(link):
    link("change_wan", {"delay": 0.5, "limit": 5})
    times = round_trips(link, "-c 40 -i 0.01")
    reports = link("change_wan", {"delay": DELAY})
    dropped = sum(way["overflowed"] for way in reports["wan1"]["directions"])
    assert dropped >= 40 - len(times) > 0
    assert any("raise wan.limit" in reason for reason in wan_reasons(reports))


def test_what_a_delay_line_missed_or_sent_late_makes_a_run_invalid():
    way = {"taken": 100, "lost": 0, "overflowed": 0, "left": 100, "late": 0}
    line = {"impairment": {"rate": 0.0}, "missed": 0, "directions": [way, way]}
    assert wan_reasons(None) == wan_reasons({"wan1": line}) == []
    assert wan_reasons({"wan1": {**line, "missed": 3}}) == ["the delay line wan1 missed 3 frames"]
    late = {**line, "directions": [way, {**way, "late": 6}]}
    assert wan_reasons({"wan1": late}) == ["6 of 100 frames left wan1 late"]
    full = {**line, "impairment": {"rate": 1e6}, "directions": [{**way, "overflowed": 9}, way]}
    assert wan_reasons({"wan1": full}) == []  # that is what a full queue does


@pytest.mark.lab
@pytest.mark.alone
def test_a_rate_by_the_bytes(link):
    """A ping of 1250 octets of frame takes 10 ms each way at 1 Mbit/s."""
    link("change_wan", {"rate": 1e6})
    assert 0.02 <= quietest(link, "-c 10 -i 0.05 -s 1208") <= 0.022


@pytest.mark.lab
def test_a_frame_that_the_kernel_refuses_is_missed_and_the_line_lives(link):
    """Its interface on the server's side takes only 500 octets for a while, and then is down."""

    def received(options: str) -> int:
        said = link("cmd", "network", f"ping -c2 -i 0.1 {options} {plan.SERVER}")
        return int(re.search(r"(\d+) received", said)[1])

    link("change_wan", {"delay": DELAY})
    assert received("-W5") == 2
    link("cmd", "wan1", "ip link set wan1-eth1 mtu 500")
    assert received("-W0.2 -s 1000") == 0
    assert received("-W5") == 2
    link("cmd", "wan1", "ip link set wan1-eth1 mtu 1500 down")
    assert received("-W0.2") == 0
    link("cmd", "wan1", "ip link set wan1-eth1 up")
    assert received("-W5") == 2
    [line] = link("change_wan", {"delay": DELAY}).values()
    assert line["missed"] >= 4  # the pings, and ARP if it was due
    assert f"the delay line wan1 missed {line['missed']} frames" in wan_reasons({"wan1": line})


def test_a_delay_line_that_died_is_a_failure_with_its_last_words(tmp_path):
    wan = Wan(Programs(tmp_path), tmp_path, Spec(wan={"delay": DELAY, "emulator": "user-space"}))
    program = wan._programs.launch("wan1", python("topologies.wan", str(tmp_path / "no plan")))
    wan.processes["wan1"] = program
    program.wait()
    with pytest.raises(RunFailed, match=r"^the delay line wan1 died: FileNotFoundError: .*no plan'$"):
        wan.stop()
