from lq.wire import DRAFT_03, RFC4388

# "DHCPACTIVE, DHCPKNOWN or DHCPUNKNOWN resets it, and no other message does."
EVERY = {
    "known": (RFC4388, {"manages": (NETWORK,)}, True),
    "unknown": (RFC4388, {"manages": ()}, True),
    "unimplemented": (DRAFT_03, {"manages": (NETWORK,), "forms": ()}, False),
}
for dialect, behaviour, resets in EVERY.values():
    heard = ServerModel(dialect=dialect, **behaviour)
    settings = ConcentratorConfig(
        IPv4Address("198.18.0.1"), (NETWORK,), servers=(SERVER,), dialect=dialect, seed=1
    )
    world = World(Concentrator(settings), {SERVER: heard})
    for number in range(50):
        world.give(Downstream(FIRST + number))
    world.run(5)
    assert (len(heard.arrivals) == 50) == resets, (behaviour, len(heard.arrivals))
    assert resets or len(heard.arrivals) == 1

# "three packets in the first minute (after 0, 10 and 30 seconds), the fourth after 70 seconds"
for name in ("dead, never heard", "without leasequery"):
    times = cases[name][0]
    assert sum(at <= 60 for at in times) == 3
    assert 69 < times[3] < 71

# "Such a server stays in it": between one packet a minute and one in ten seconds.
for name in ("dead, never heard", "without leasequery"):
    for count, at in enumerate(cases[name][0], start=1):
        assert count <= 1 + at / 10 + 0.01
assert cases["dead, never heard"][0] == cases["without leasequery"][0]

# "Two lines leave the grey area."
for name in ("heard before, then dead", "dead, returns after 5 minutes"):
    assert any(count > 1 + at / 10 + 1 for count, at in enumerate(cases[name][0], start=1))

# "gets one window of queries, each four times within ten seconds"
times = cases["heard before, then dead"][0]
assert sorted({round(at) for at in times if at <= 10}) == [0, 1, 3, 7]
