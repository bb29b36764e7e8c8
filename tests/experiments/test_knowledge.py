"""The concentrator's memory, told by its record."""

from lq.emulation.knowledge import Knowledge


def knowledge(*lines) -> Knowledge:
    found = Knowledge()
    found.feed(lines)
    return found


def test_an_address_is_asked_about_then_located_then_forgotten_in_time():
    known = Knowledge()
    known.feed([{"at": 1.0, "event": "query", "address": "a", "attempt": 1}])
    assert known.of("a", 1.5) == "asking"
    known.feed([{"at": 2.0, "event": "permit", "address": "a", "tags": [3], "expires": 10.0}])
    assert known.of("a", 9.9) == "located"
    assert known.of("a", 10.1) == "unknown"
    ((address, entry),) = known.items("located", 5.0)
    assert (address, entry.since, entry.until, entry.detail["tags"]) == ("a", 2.0, 10.0, [3])


def test_a_refusal_holds_until_its_end():
    known = knowledge({"at": 1.0, "event": "refuse", "address": "a", "reason": "known", "until": 4.0})
    assert (known.of("a", 3.9), known.of("a", 4.1)) == ("refused", "unknown")


def test_a_query_about_a_located_address_does_not_unsettle_it():
    permit = {"at": 1.0, "event": "permit", "address": "a", "expires": 9.0}
    query = {"at": 2.0, "event": "query", "address": "a"}
    assert knowledge(permit, query).of("a", 3.0) == "located"
    assert knowledge(permit, query | {"at": 9.5}).of("a", 9.6) == "asking"


def test_withdrawn_abandoned_and_rebooted_is_unknown():
    permit = {"at": 1.0, "event": "permit", "address": "a", "expires": 9.0}
    query = {"at": 1.0, "event": "query", "address": "b"}
    assert knowledge(permit, {"at": 2.0, "event": "withdraw", "address": "a"}).of("a", 3.0) == "unknown"
    assert knowledge(query, {"at": 2.0, "event": "abandon", "address": "b"}).of("b", 3.0) == "unknown"
    both = knowledge(permit, query, {"at": 5.0, "event": "started"})
    assert (both.of("a", 6.0), both.of("b", 6.0)) == ("unknown", "unknown")


def test_what_is_about_no_address_is_no_matter():
    known = knowledge({"at": 1.0, "event": "query", "address": None}, {"at": 1.0, "event": "ready"})
    assert list(known.items("asking", 2.0)) == []
    assert known.of(None, 2.0) == "unknown"
