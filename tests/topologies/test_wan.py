"""WAN links: what becomes of each frame, netem's command line, and the delay line measured."""

from __future__ import annotations

import itertools
import re
import statistics
import time
from collections import Counter

import pytest

from lq.emulation.processes import Programs, python
from lq.emulation.wan import LINES, NETEM, SEEDED, UNSEEDED, Wan
from lq.errors import BadInput, RunFailed
from lq.experiments.spec import Spec, load
from lq.results.validity import wan_reasons
from tests.support import emulators
from topologies import plan
from topologies.netem import netem_command
from topologies.wan import COUNTS, Direction, Impairment

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
    assert direction.report() == {**dict.fromkeys(COUNTS, 0), "taken": 5, "left": 5}


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


def leaving(direction: Direction) -> list[tuple[float, int]]:
    """Let every frame leave exactly when it is due; return when, and its number."""
    found = []
    while (moment := direction.deadline) < float("inf"):
        found.append((moment, int.from_bytes(direction.leave(moment), "big")))
    return found


def carried(impairment: Impairment, seed: str = "1", frames: int = 10_000) -> tuple[dict, list]:
    """Send frames with a number each, 1 ms apart; return what was counted, and what left."""
    direction = Direction(impairment, seed)
    for number in range(frames):
        direction.take(number.to_bytes(4, "big"), number * 0.001)
    left = leaving(direction)
    return direction.report(), left


def test_a_copy_leaves_with_its_frame_and_both_are_counted():
    report, left = carried(Impairment(delay=0.02, duplication=0.05, limit=20_000))
    numbers = [number for _, number in left]
    assert len(left) == report["left"] == 10_000 + report["duplicated"]
    assert len(set(numbers)) == 10_000
    assert abs(report["duplicated"] - 500) < 5 * (10_000 * 0.05 * 0.95) ** 0.5
    assert report["lost"] == report["reordered"] == report["late"] == 0
    for moment, number in left:
        assert moment == pytest.approx(number * 0.001 + 0.02)
    assert carried(Impairment(delay=0.02, duplication=1, limit=30), frames=10)[0]["duplicated"] == 10


def test_a_reordered_frame_leaves_at_once_ahead_of_those_that_wait():
    report, left = carried(Impairment(delay=0.02, reordering=0.1, limit=20_000))
    early = [(moment, number) for moment, number in left if moment < number * 0.001 + 0.01]
    assert len(left) == report["taken"] == report["left"] == 10_000
    assert len(early) == report["reordered"]
    assert abs(report["reordered"] - 1000) < 5 * (10_000 * 0.1 * 0.9) ** 0.5
    assert [moment for moment, _ in early] == pytest.approx([number * 0.001 for _, number in early])
    overtaking, place = {number for _, number in early}, {number: n for n, (_, number) in enumerate(left)}
    for number in overtaking:
        waiting = {*range(max(0, number - 19), number)} - overtaking
        assert all(place[number] < place[other] for other in waiting)
    assert [number for _, number in left if number not in overtaking] == late(overtaking)  # in their order


def late(overtaking: set[int]) -> list[int]:
    """Return the numbers of all 10,000 frames that wait for the delay."""
    return [number for number in range(10_000) if number not in overtaking]


def test_with_a_rate_a_reordered_frame_does_not_wait_for_the_wire():
    report, left = carried(Impairment(delay=0.02, reordering=0.5, rate=1000), frames=100)
    early = [number for moment, number in left if moment < number * 0.001 + 0.01]
    assert len(early) == report["reordered"] > 30
    times = [moment for moment, number in left if number not in set(early)]
    assert min(after - before for before, after in itertools.pairwise(times)) >= 4 * 8 / 1000 - 1e-9


def test_chances_are_each_by_itself_and_all_follow_from_the_seed():
    """A frame that is both duplicated and lost leaves once; a copy may be lost, and has none itself."""
    every = Impairment(delay=0.02, loss=0.3, duplication=0.05, reordering=0.1, limit=20_000)
    report, left = carried(every)
    assert (report, left) == carried(every)
    assert report != carried(every, "2")[0]
    copies = Counter(Counter(number for _, number in left).values())
    assert set(copies) == {1, 2}
    assert report["taken"] + report["duplicated"] == report["lost"] + report["left"]
    shares = {0: 0.3 * 0.95, 2: 0.05 * 0.7 * 0.7}
    copies[0] = 10_000 - copies[1] - copies[2]
    for number, share in shares.items():
        assert abs(copies[number] - 10_000 * share) < 5 * (10_000 * share) ** 0.5


EXACT = {"taken": 1000, "duplicated": 50, "lost": 301, "reordered": 77, "left": 749}


def test_exact_counts_with_a_seed():
    report, _ = carried(Impairment(delay=0.02, loss=0.3, duplication=0.05, reordering=0.1), "cable 1", 1000)
    assert report == {**dict.fromkeys(COUNTS, 0), **EXACT}


def test_a_full_link_drops_a_frame_with_its_copy():
    """Of what it holds there is one more than the limit at most: the last frame's copy."""
    direction = Direction(Impairment(delay=1.0, duplication=1, limit=10), "1")
    for _ in range(25):
        direction.take(FRAME, 0.0)
    assert direction.report()["overflowed"] == 40
    assert len(departures(direction)) == 10


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
        (Impairment(duplication=0.05), "limit 1000 duplicate 5%"),
        (Impairment(delay=0.02, reordering=0.1), "limit 1000 delay 20000us reorder 10%"),
        (
            Impairment(delay=1.0, jitter=0.5, loss=0.005, rate=1e9),
            "limit 1000 delay 1000000us 500000us loss random 0.5% rate 1000000000bit",
        ),
    ],
)
def test_the_same_for_netem(impairment, arguments):
    command = netem_command("eth0", impairment)
    assert " ".join(command) == f"tc qdisc replace dev eth0 root netem {arguments}"
    seeded = netem_command("eth0", impairment, "1 eth0")
    assert seeded[:-2] == command
    assert seeded[-2] == "seed"
    assert 0 <= int(seeded[-1]) < 1 << 63
    assert seeded == netem_command("eth0", impairment, "1 eth0")
    assert seeded != netem_command("eth0", impairment, "2 eth0")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"wan.reordering": 0.1}, "set wan.delay"),
        ({"wan.reordering": 1, "wan.delay": 0.1}, "wan.reordering"),
        ({"wan.duplication": 1.1}, "wan.duplication"),
        ({"wan.duplication": -0.1}, "wan.duplication"),
        ({"wan.reordering": 0.1, "wan.delay": 1, "backoff.server": "slow"}, "leave wan.reordering out"),
    ],
)
def test_what_makes_no_sense_is_one_line(settings, words):
    with pytest.raises(BadInput, match=words) as caught:
        load("backoff", settings)
    assert "\n" not in str(caught.value)


# -- the delay line on real packets

DELAY = 0.02
CHANCES = [{"jitter": 0.01}, {"loss": 0.1}, {"duplication": 0.1}, {"reordering": 0.1}]


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
@pytest.mark.kernel
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


@pytest.fixture(params=emulators())
def any_link(request):
    return request.getfixturevalue("link" if request.param == "user-space" else "kernels_link")


def echoes(link, options: str) -> list[tuple[int, float]]:
    """Ping the server from the network's router; return number and round trip of each answer as they came."""
    link("cmd", "network", f"ping -c1 -W5 {plan.SERVER}")
    said = link("cmd", "network", f"ping {options} -W5 {plan.SERVER}")
    answers = re.findall(r"icmp_seq=(\d+) .*time=([\d.]+) ms", said)
    return [(int(number), float(time)) for number, time in answers]


def counted(reports) -> list:
    """Return the delay lines' reports: netem does not tell what it has doubled and reordered."""
    return [line for line in reports.values() if "taken" in line["directions"][0]]


@pytest.mark.lab
@pytest.mark.kernel
def test_duplicates_are_real(any_link):
    """Each ping has a copy with 0.3, and each of what arrives an answer, that has one with 0.3, too."""
    any_link("change_wan", {"duplication": 0.3})
    found = Counter(number for number, _ in echoes(any_link, "-c 500 -i 0.002"))
    reports = any_link("change_wan", {"delay": DELAY})
    assert len(found) == 500
    assert set(found.values()) == {1, 2, 3, 4}
    assert abs(found.total() - 500 * 1.3**2) < 5 * (500 * 0.63) ** 0.5
    for line in counted(reports):
        there, back = line["directions"]
        assert there["taken"] + there["duplicated"] == there["left"]
        assert back["left"] - found.total() in range(0, 10)  # ARP


@pytest.mark.lab
@pytest.mark.kernel
def test_reorderings_are_real(any_link):
    any_link("change_wan", {"delay": 0.05, "reordering": 0.2})
    found = echoes(any_link, "-c 300 -i 0.004")
    reports = any_link("change_wan", {"delay": DELAY})
    order = [number for number, _ in found]
    assert sorted(order) == list(range(1, 301))
    overtaken = sum(after < before for before, after in itertools.pairwise(order))
    assert overtaken > 30
    both, one, none = (
        sum(low <= time < high for _, time in found) for low, high in ((0, 50), (50, 100), (100, 1e6))
    )
    assert one > both > 0
    assert abs(none - 300 * 0.64) < 5 * (300 * 0.64 * 0.36) ** 0.5
    for line in counted(reports):
        for way in line["directions"]:
            assert abs(way["reordered"] - 0.2 * way["taken"]) < 5 * (0.16 * way["taken"]) ** 0.5
            assert way["taken"] == way["left"]


@pytest.mark.lab
@pytest.mark.kernel
def test_a_capture_at_the_server_sees_when_it_was_asked_and_answered(any_link):
    """A request has come all the way by then, and an answer only sets out."""
    any_link("change_wan", {"delay": 0.3})
    any_link("watch", "server")
    began = time.time()
    [(_, round_trip)] = echoes(any_link, "-c 1")
    (request, came), (reply, left) = any_link("pings", "server", 4)[-2:]
    assert (request, reply) == (8, 0)
    assert came - began > 0.3
    assert left - came < 0.1
    assert round_trip >= 600


@pytest.mark.lab
@pytest.mark.kernel
def test_an_impairment_leaves_nothing_of_the_one_before(any_link):
    before = {"delay": 0.05, "jitter": 0.01, "loss": 0.3, "duplication": 0.3, "reordering": 0.3, "rate": 1e5}
    any_link("change_wan", before)
    any_link("change_wan", {"delay": DELAY})
    found = echoes(any_link, "-c 60 -i 0.01")
    assert [number for number, _ in found] == list(range(1, 61))
    assert min(time for _, time in found) >= 2 * DELAY * 1000


@pytest.mark.lab
@pytest.mark.kernel
def test_more_than_the_link_can_hold_is_counted_and_makes_a_run_invalid(any_link):
    any_link("change_wan", {"delay": 0.5, "limit": 5})
    times = round_trips(any_link, "-c 40 -i 0.01")
    reports = any_link("change_wan", {"delay": DELAY})
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


@pytest.mark.parametrize(
    ("wanted", "netem", "seeds", "emulator"),
    [
        ({"delay": DELAY, "rate": 1e6}, True, False, NETEM),
        ({"delay": DELAY, "rate": 1e6}, False, False, LINES),
        *(({"delay": DELAY, **chance}, True, False, LINES) for chance in CHANCES),
        *(({"delay": DELAY, **chance}, True, True, SEEDED) for chance in CHANCES),
        *(({"delay": DELAY, **chance, "emulator": "netem"}, True, False, UNSEEDED) for chance in CHANCES),
        ({"delay": DELAY, "emulator": "user-space"}, True, True, LINES),
    ],
)
def test_chance_follows_the_seed_unless_netem_is_asked_for(
    tmp_path, monkeypatch, wanted, netem, seeds, emulator
):
    monkeypatch.setattr("lq.emulation.wan.has_netem", lambda: netem)
    monkeypatch.setattr("lq.emulation.wan.netem_takes_seeds", lambda: seeds)
    wan = Wan(Programs(tmp_path), tmp_path, Spec(wan=wanted))
    assert wan.has_nodes
    assert wan.emulator == emulator


def test_where_there_is_no_netem_a_run_that_asks_for_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("lq.emulation.wan.has_netem", lambda: False)
    monkeypatch.setattr("lq.emulation.wan.netem_takes_seeds", lambda: False)
    with pytest.raises(RunFailed, match="modprobe sch_netem"):
        Wan(Programs(tmp_path), tmp_path, Spec(wan={"delay": DELAY, "emulator": "netem"}))


def test_a_network_that_needs_no_long_way_has_none(tmp_path):
    wan = Wan(Programs(tmp_path), tmp_path, Spec())
    assert not wan.has_nodes
    assert wan.emulator == "nothing"
    with pytest.raises(RunFailed, match=r"give it some wan\.delay"):
        wan.change(Impairment(delay=1.0))


def test_a_delay_line_that_died_is_a_failure_with_its_last_words(tmp_path):
    wan = Wan(Programs(tmp_path), tmp_path, Spec(wan={"delay": DELAY, "emulator": "user-space"}))
    program = wan._programs.launch("wan1", python("topologies.wan", str(tmp_path / "no plan")))
    wan.processes["wan1"] = program
    program.wait()
    with pytest.raises(RunFailed, match=r"^the delay line wan1 died: FileNotFoundError: .*no plan'$"):
        wan.stop()
