"""What a leasequery has to be answered, worked out plainly from the bindings: no templates, no indexes.

The state machine and the fuzzer hold every answer against it.
"""

from lq.server.bindings import State
from lq.server.pools import Ranges
from lq.wire import BOOTREQUEST, MessageType, decode

FOREVER = 2**40
TIMES = {51: "expires", 58: "renews", 59: "rebinds"}


def judge(service, octets, outgoing, now, source=None):
    """Complain (AssertionError) unless the reply to a query is the one due. `outgoing`: what was sent.

    `source`: address and port that the query came from; None, if from its giaddr.
    """
    query, settings, dialect = decode(octets), service.config.leasequery, service.config.spoken
    reply = None if outgoing is None else decode(outgoing[0])
    asked = _item(query)
    refused = query.op != BOOTREQUEST or not int(query.giaddr) or not settings.enabled or asked is None
    believed = source in (None, (str(query.giaddr), service.config.port))
    refused = refused or (service.config.verify_source and not believed)
    if refused or not any(query.giaddr in each for each in settings.requesters):
        assert reply is None
        return
    form, item = asked
    if form not in settings.forms:
        assert (reply and reply.message_type) == dialect.unimplemented
        return
    assert reply is not None
    history = dialect.name == "draft-03"
    found = [each for each in service.bindings if _matches(each, form, item)]
    live = [each for each in found if _leased(each, now)]
    shown = live or [each for each in found if each.reserved and settings.reservation_as_active]
    if shown:
        assert reply.message_type == MessageType.ACTIVE
    elif form == "address":
        managed = found or item in Ranges(service.config.pools)
        assert reply.message_type == (MessageType.KNOWN if managed else MessageType.UNKNOWN)
    else:
        assert reply.message_type == (MessageType.KNOWN if found and history else MessageType.UNKNOWN)
    if reply.message_type == MessageType.UNKNOWN:
        assert set(reply.options) == {53}
        return
    _judge_binding(service, query, reply, form, shown or found, now)


def _judge_binding(service, query, reply, form, candidates, now):
    settings, dialect = service.config.leasequery, service.config.spoken
    history = dialect.name == "draft-03"
    binding = service.bindings.by_address.get(reply.ciaddr.packed)
    if form == "address":
        assert reply.ciaddr == query.ciaddr
    else:
        assert binding in candidates
        if settings.prefer == "most-recent":
            assert binding.last_transaction == max(each.last_transaction for each in candidates)
        elif reply.message_type == MessageType.ACTIVE and _leased(binding, now):
            assert binding.expires == max(each.expires for each in candidates if _leased(each, now))
    active = reply.message_type == MessageType.ACTIVE
    if binding is None or not (active or history or settings.former_client):
        assert (reply.htype, reply.chaddr, reply.flags, set(reply.options)) == (0, b"", 0, {53, 54})
        return
    assert (reply.htype, reply.chaddr) == (binding.htype, binding.chaddr)
    assert reply.flags == (dialect.r_flag if binding.reserved else 0)
    wanted = query.options.get(55)
    for code, name in TIMES.items():
        moment = getattr(binding, name)
        due = _leased(binding, now) and moment > now and (code == 51 or binding.expires < FOREVER)
        due = due and (code in wanted if wanted is not None else not history)
        value = reply.options.get(code)
        assert value == (min(int(moment - now), 0xFFFFFFFF).to_bytes(4, "big") if due else None)
    _judge_addresses(service, query, reply, form, binding, now)
    if wanted is not None:
        unasked = set() if form == "address" or history else {92}
        assert set(reply.options) <= {53, 54, *wanted} | unasked
    elif history:
        assert set(reply.options) == {53, 54}
    if 61 in reply.options:
        assert reply.options[61] == binding.client_id
    if wanted is not None and 82 in wanted:
        assert reply.options.get(82) == binding.relay_info


def _judge_addresses(service, query, reply, form, binding, now):
    """Option 50 of the draft, 92 of RFC 4388."""
    history = service.config.spoken.name == "draft-03"
    code = 50 if history else 92
    by_identifier = binding.client_id is not None and form != "hardware"
    key = ("client-id", binding.client_id) if by_identifier else ("hardware", binding.hardware)
    theirs = [each for each in service.bindings if _matches(each, *key)]
    theirs = [each for each in theirs if history or _leased(each, now)]
    due = len(theirs) > 1 and (code in query.options.get(55, b"") or (form != "address" and not history))
    value = reply.options.get(code, b"")
    listed = [value[at : at + 4] for at in range(0, len(value), 4)]
    if not due:
        assert not listed
        return
    assert sorted(listed) == sorted(each.packed for each in theirs)
    ages = [now - service.bindings.by_address[packed].last_transaction for packed in listed]
    assert ages == sorted(ages)


def _item(query):
    """Which form of query it is, and what it asks about; None for none or several."""
    items = [("address", query.ciaddr.packed)] if int(query.ciaddr) else []
    if 61 in query.options:
        items.append(("client-id", query.options[61]))
    if query.chaddr and (any(query.chaddr) or not items):
        items.append(("hardware", bytes((query.htype,)) + query.chaddr))
    return items[0] if len(items) == 1 else None


def _matches(binding, form, item):
    if form == "address":
        return binding.packed == item
    if form == "client-id":
        return binding.client_id == item
    return binding.hardware == item != b""  # an address that was declined is nobody's


def _leased(binding, now):
    return binding.state == State.LEASED and binding.expires > now
