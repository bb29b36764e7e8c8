"""A location is asked about again before it ends, because renewals at the server itself are not gleaned."""

from __future__ import annotations

import pytest

from lq.concentrator.events import (
    Answered,
    Downstream,
    FromClient,
    ModemRegistered,
    Permit,
    Refuse,
    Withdraw,
)
from lq.simulation.world import Link, World
from lq.wire import MessageType, OptionCode
from tests.concentrator.helpers import (
    CIRCUIT,
    HOST,
    MAC,
    MODEM,
    OTHER_CIRCUIT,
    OTHER_MAC,
    SECOND,
    SERVER,
    active,
    answer,
    binding,
    client_message,
    engine,
    info,
    of_type,
    queries,
    server_message,
    server_model,
)

LEAD = 6.0  # of a lease of 60 seconds


def located(now=0.0, lease=60.0, **settings):
    """An engine that has learnt of HOST by leasequery."""
    concentrator = engine(**settings)
    [query] = queries(concentrator.handle(Downstream(HOST), now))
    concentrator.handle(active(query, lease=int(lease)), now)
    return concentrator


def gleaned(now=0.0, seconds=60, server=SERVER, concentrator=None, **settings):
    """An engine that has learnt of HOST by an ACK."""
    concentrator = concentrator or engine(**settings)
    options = {OptionCode.REQUESTED_ADDRESS: HOST.packed}
    sent = concentrator.handle(FromClient(CIRCUIT, client_message(MessageType.REQUEST, options=options)), now)
    relayed = next(each for each in sent if each.server == server)
    concentrator.handle(server_message(relayed, MessageType.ACK, yiaddr=HOST, lease=seconds), now)
    return concentrator


def pass_time(concentrator, until):
    """Wake the engine whenever it wants; return its effects with their times."""
    done = []
    while concentrator.deadline is not None and concentrator.deadline <= until:
        now = concentrator.deadline
        done += [(now, effect) for effect in concentrator.wake(now)]
    return done


def refresh(concentrator, until):
    """Let time pass up to the one refresh query; return it, and when it came."""
    [(at, query)] = [(at, each) for at, each in pass_time(concentrator, until) if queries([each])]
    assert query.query.refresh
    return at, query


@pytest.mark.requirement("R4.3-1")
@pytest.mark.parametrize("learn", [located, gleaned])
def test_a_location_is_asked_about_before_it_ends_and_goes_on(learn):
    concentrator = learn()
    at, query = refresh(concentrator, 60.0 - LEAD)
    assert (at, query.query.address, query.query.attempt) == (60.0 - LEAD, HOST, 1)
    effects = concentrator.handle(active(query, lease=50), at + 0.1)
    assert [type(each) for each in effects] == [Answered, Permit], "no Withdraw: the flow stays"
    assert effects[0].refresh
    assert effects[1].location.expires == at + 50.1
    assert queries([effect for _, effect in pass_time(concentrator, at + 40)]) == []
    [(again, _)] = [(at, each) for at, each in pass_time(concentrator, at + 46) if queries([each])]
    assert again == pytest.approx(at + 0.1 + 50 - 5)
    counters = concentrator.counters
    assert counters["queries_refresh"] == 2
    assert counters["refresh_active"] == 1
    assert counters["queries_sent"] == counters["replies_active"] == (learn is located)


@pytest.mark.parametrize(
    ("lease", "lead"), [(3600, 10.0), (100, 10.0), (60, 6.0), (20, 3.0), (6, 3.0), (4, 2.0), (1, 0.5)]
)
def test_the_lead_is_a_tenth_within_bounds(lease, lead):
    at, _ = refresh(located(lease=lease), lease - lead)
    assert at == pytest.approx(lease - lead)


def test_the_lead_leaves_time_for_three_queries():
    concentrator = located(retry_first=4.0)
    times = [at for at, each in pass_time(concentrator, 59.9) if queries([each])]
    assert times == [48.0, 52.0]
    assert pass_time(concentrator, 60.0)[-1][1] == Withdraw(concentrator_location(60.0))


def concentrator_location(expires):
    from lq.concentrator.events import Location

    return Location(HOST, 1, MAC, CIRCUIT, None, expires)


def test_without_refresh_or_in_the_other_modes_nobody_asks():
    for settings in ({"refresh": False}, {"mode": "glean-only"}, {"mode": "arp"}):
        concentrator = gleaned(**settings)
        effects = [effect for _, effect in pass_time(concentrator, 100.0)]
        assert queries(effects) == []
        assert len(of_type(Withdraw, effects)) == 1


@pytest.mark.requirement("R6.5-2")
@pytest.mark.requirement("R6.5-5")
@pytest.mark.parametrize("kind", ["known", "unknown"])
def test_known_and_unknown_end_it_at_once(kind):
    concentrator = located()
    at, query = refresh(concentrator, 54.5)
    effects = concentrator.handle(answer(query, kind), at + 0.1)
    assert [type(each) for each in effects] == [Answered, Withdraw, Refuse]
    assert effects[2].reason.value == kind
    assert concentrator.locations.get(int(HOST), at + 0.1) is None


def test_without_an_answer_it_ends_when_it_would_have_and_packets_ask_at_once():
    concentrator = located()
    effects = pass_time(concentrator, 60.0)
    assert [at for at, each in effects if queries([each])] == [54.0, 55.0, 57.0]
    assert effects[-1][0] == 60.0
    assert isinstance(effects[-1][1], Withdraw)
    assert concentrator.handle(Downstream(HOST), 60.1) == [], "one at a time to a server that rested (R6.6-3)"
    [(at, query)] = pass_time(concentrator, 61.0)
    assert (at, query.query.refresh, query.query.attempt) == (61.0, False, 1)


def test_when_it_ended_without_an_answer_packets_ask_a_server_that_answers_at_once():
    concentrator = located()
    pass_time(concentrator, 50.0)
    [query] = queries(concentrator.handle(Downstream(HOST + 1), 50.0))
    concentrator.handle(active(query, lease=3600), 50.0)
    pass_time(concentrator, 59.9)
    assert [type(each) for _, each in pass_time(concentrator, 60.0)] == [Withdraw]
    [query] = queries(concentrator.handle(Downstream(HOST), 60.1))
    assert (query.query.refresh, query.query.attempt) == (False, 1)


def test_one_query_for_each_end_though_the_server_says_the_same_end_again():
    concentrator = located()
    at, query = refresh(concentrator, 54.5)
    concentrator.handle(active(query, lease=5), at + 0.1)  # whole seconds: a little less
    effects = pass_time(concentrator, 61.0)
    assert queries([each for _, each in effects]) == []
    [(ended, _)] = [(at, each) for at, each in effects if isinstance(each, Withdraw)]
    assert ended == pytest.approx(at + 5.1)


def test_a_server_that_gives_ever_so_little_more_is_not_asked_again_and_again():
    concentrator, asked, now = located(), 0, 0.0
    while concentrator.deadline is not None and now < 1000.0:
        now = max(now, concentrator.deadline)
        for query in queries(concentrator.wake(now)):
            asked += 1
            concentrator.handle(active(query, lease=7), now)
    assert asked <= 2


def test_a_modem_s_move_or_a_repeated_permit_does_not_ask_again():
    concentrator = engine()
    concentrator.handle(ModemRegistered(MODEM, CIRCUIT), 0.0)
    [query] = queries(concentrator.handle(Downstream(HOST), 0.0))
    concentrator.handle(active(query, lease=60, option82=info(CIRCUIT, MODEM)), 0.0)
    concentrator.handle(ModemRegistered(MODEM, OTHER_CIRCUIT), 50.0)  # before: it is still asked about
    at, query = refresh(concentrator, 57.5)
    concentrator.handle(active(query, lease=int(60 - at), option82=info(CIRCUIT, MODEM)), at)
    concentrator.handle(ModemRegistered(MODEM, CIRCUIT), at + 0.5)  # after: not once more
    concentrator.handle(Downstream(HOST), at + 0.6)
    assert queries([each for _, each in pass_time(concentrator, 70.0)]) == []


@pytest.mark.requirement("R6.6-3")
@pytest.mark.requirement("R6.6-6")
def test_a_silent_server_is_not_asked_so():
    """A hundred gleaned locations, a server without leasequery: one query, then none of our own accord."""
    concentrator = engine()
    for number in range(100):
        options = {OptionCode.REQUESTED_ADDRESS: (HOST + number).packed}
        message = client_message(MessageType.REQUEST, xid=number, options=options)
        [relayed] = concentrator.handle(FromClient(CIRCUIT, message), 0.0)
        ack = server_message(relayed, MessageType.ACK, yiaddr=HOST + number, lease=60 + number)
        concentrator.handle(ack, 0.0)
    effects = pass_time(concentrator, 300.0)
    asked = [each for _, each in effects if queries([each])]
    assert len(asked) == 1
    assert len([each for _, each in effects if isinstance(each, Withdraw)]) == 100
    assert concentrator.deadline is None


def test_a_server_that_falls_silent_while_asked_so_is_left_alone():
    concentrator = located()
    pass_time(concentrator, 53.9)
    effects = pass_time(concentrator, 200.0)
    assert [at for at, each in effects if queries([each])] == [54.0, 55.0, 57.0]
    [query] = queries(concentrator.handle(Downstream(HOST), 200.0))
    assert not query.query.refresh


@pytest.mark.requirement("R6.6-4")
def test_half_of_the_window_is_for_those_that_wait():
    """A thousand locations that end together; a packet for another host is asked about at once."""
    window = 10
    concentrator = engine(window=window)
    [query] = queries(concentrator.handle(Downstream(HOST), 0.0))
    concentrator.handle(active(query, lease=60), 0.0)
    for number in range(1, 1000):
        [query] = queries(concentrator.handle(Downstream(HOST + number), 0.0))
        concentrator.handle(active(query, lease=60), 0.0)
    # The server has rested meanwhile: one goes first, and its answer makes room.
    out = [each for _, each in pass_time(concentrator, 54.0) if queries([each])]
    assert len(out) == 1
    out += queries(concentrator.handle(active(out.pop(), lease=60), 54.0))
    assert len(out) == window // 2
    waiting = queries(concentrator.handle(Downstream(HOST + 5000), 54.1))
    assert [each.query.refresh for each in waiting] == [False]
    done = 1
    while out:  # each answer makes room for the next
        out += queries(concentrator.handle(active(out.pop(), lease=60), 54.2))
        assert len(out) <= window // 2
        done += 1
    assert done == 1000
    assert len(concentrator.locations) == 1000


def test_what_finds_no_room_before_its_end_ends_and_is_not_asked_about_later():
    concentrator = engine(window=2)
    [query] = queries(concentrator.handle(Downstream(HOST), 0.0))
    concentrator.handle(active(query, lease=60), 0.0)
    for number in range(1, 100):
        [query] = queries(concentrator.handle(Downstream(HOST + number), 0.0))
        concentrator.handle(active(query, lease=60), 0.0)
    asked = {each.query.address for _, each in pass_time(concentrator, 300.0) if queries([each])}
    assert len(asked) == 1, "nobody answered it, so there was no room for others"
    assert len(concentrator.locations) == len(concentrator.locations.ending) == 0


@pytest.mark.requirement("R6.2-8")
def test_one_server_is_asked_the_one_that_manages_the_address():
    concentrator = gleaned(server=SECOND, servers=(SERVER, SECOND))
    _, query = refresh(concentrator, 54.0)
    assert query.server == SECOND
    asked = [each for _, each in pass_time(concentrator, 59.9) if queries([each])]
    assert asked == [], "it has never answered: no other query of its own accord (R6.6-3)"


@pytest.mark.requirement("R6.2-8")
def test_the_other_server_is_asked_if_that_one_knows_no_more():
    concentrator = gleaned(server=SECOND, servers=(SERVER, SECOND))
    at, query = refresh(concentrator, 54.0)
    [other] = queries(concentrator.handle(answer(query, "unknown"), at))
    assert other.server == SERVER
    [_, permit] = concentrator.handle(active(other), at + 0.1)
    assert isinstance(permit, Permit)


def test_a_release_or_a_new_lease_ends_the_question():
    concentrator = located()
    at, query = refresh(concentrator, 54.0)
    message = client_message(MessageType.RELEASE, ciaddr=HOST)
    assert of_type(Withdraw, concentrator.handle(FromClient(CIRCUIT, message), at + 0.1))
    assert of_type(Permit, concentrator.handle(active(query), at + 0.2)) == []
    assert queries([each for _, each in pass_time(concentrator, 100.0)]) == []
    concentrator = located()
    at, query = refresh(concentrator, 54.0)
    gleaned(at + 0.1, 3600, concentrator=concentrator)
    assert of_type(Permit, concentrator.handle(active(query, lease=10), at + 0.2)) == []
    assert concentrator.locations.get(int(HOST), at).expires == at + 0.1 + 3600


def test_another_client_s_nak_does_not_end_the_question():
    concentrator = located()
    at, query = refresh(concentrator, 54.0)
    options = {OptionCode.REQUESTED_ADDRESS: HOST.packed}
    message = client_message(MessageType.REQUEST, chaddr=OTHER_MAC, options=options)
    [relayed] = concentrator.handle(FromClient(OTHER_CIRCUIT, message), at)
    concentrator.handle(server_message(relayed, MessageType.NAK), at)
    assert of_type(Permit, concentrator.handle(active(query), at + 0.2))


def test_an_answer_without_option_82_confirms_the_place_that_is_known():
    concentrator = gleaned()
    at, query = refresh(concentrator, 54.0)
    [permit] = of_type(Permit, concentrator.handle(active(query, option82=None), at))
    assert permit.location.circuit == CIRCUIT
    assert permit.location.expires > 60.0
    concentrator = gleaned()
    at, query = refresh(concentrator, 54.0)
    effects = concentrator.handle(active(query, option82=None, chaddr=OTHER_MAC), at)
    assert of_type(Permit, effects) == [], "another client's is nowhere"


def test_a_server_that_does_not_implement_it_changes_nothing():
    concentrator = located()
    at, query = refresh(concentrator, 54.0)
    assert [type(each) for each in concentrator.handle(answer(query, "unimplemented"), at)] == [Answered]
    assert [type(each) for _, each in pass_time(concentrator, 60.0)] == [Withdraw]


# -- in virtual time, with clients that renew


class Client:
    """A host that renews by unicast at half of its lease, and gets a packet every 50 ms from the Internet.

    As the switch does, it delivers what finds a flow; of the others the controller holds one for each
    address, until a flow is there.
    """

    def __init__(self, world, model, number, lease):
        self.world, self.model, self.lease = world, model, lease
        self.address, self.mac = HOST + number, MAC[:-1] + bytes((number,))
        self.place = info(CIRCUIT)
        self.lost = self.sent = 0
        self.held = False

    def start(self, renews=None):
        self.renew(renews)
        self.probe()

    def renew(self, renews):
        if renews is None or renews > 0:
            end = self.world.now + self.lease
            self.model.bind(binding(self.address, chaddr=self.mac, info=self.place, expires=end))
            left = None if renews is None else renews - 1
            self.world.clock.after(self.lease / 2, lambda: self.renew(left))

    def probe(self):
        self.sent += 1
        self.world.clock.after(0.05, self.probe)
        if self.world.concentrator.locations.get(int(self.address), self.world.now) is None:
            self.lost += self.held  # the one before it is held
            self.held = True
            self.world.give(Downstream(self.address))
        else:
            self.held = False


def lose(refresh, link=None, seconds=600.0, hosts=20, settle=20.0, **settings):
    """Return how many packets were lost once all were located, of how many, and the engine."""
    model = server_model()
    world = World(engine(refresh=refresh, **settings), {SERVER: model}, link or Link(delay=0.03), seed=1)
    clients = [Client(world, model, number, 60.0) for number in range(hosts)]
    for number, client in enumerate(clients):
        world.clock.at(number * 1.37, client.start)
    world.run(hosts * 1.37 + settle)
    for client in clients:
        client.lost = client.sent = 0
    world.run(world.now + seconds)
    return sum(c.lost for c in clients), sum(c.sent for c in clients), world.concentrator


@pytest.mark.requirement("R4.3-1")
def test_no_packet_is_lost_at_the_ends_of_leases():
    lost, sent, concentrator = lose(True)
    assert sent >= 200_000
    assert lost == 0
    ends = concentrator.counters["refresh_active"]
    assert 20 * 600 / 60 <= ends <= 20 * 600 / 30 * 1.1, "about as often as the hosts renew"
    assert concentrator.counters["queries_sent"] <= 25
    lost, sent, concentrator = lose(False)
    assert lost > 100, "the test can fail"
    assert concentrator.counters["queries_refresh"] == 0


def test_lost_queries_are_sent_again_in_time():
    lost, _, concentrator = lose(True, Link(delay=0.03, loss=0.2, duplication=0.1))
    without, _, _ = lose(False, Link(delay=0.03, loss=0.2, duplication=0.1))
    assert lost < without / 10
    assert concentrator.counters["queries_refresh"] > concentrator.counters["refresh_active"]


def test_a_host_that_is_gone_costs_one_query():
    model = server_model()
    world = World(engine(), {SERVER: model}, seed=1)
    client = Client(world, model, 0, 60.0)
    client.renew(1)
    world.give(Downstream(client.address))
    world.run(1000.0)
    assert world.concentrator.counters["queries_refresh"] == 1
    assert world.concentrator.locations.get(int(client.address), world.now) is None
