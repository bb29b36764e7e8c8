"""The modems' processors, without I/O: who registers when, how often, and who keeps silent."""

from __future__ import annotations

import pytest

from lq.wire.registration import Kind, Registration
from topologies.registration import RETRY, SILENCE, WINDOW, Heard, Processors

CONCENTRATOR = bytes.fromhex("02c000000002")
MODEMS = {bytes([2, 0, 0, 0, number >> 8, number & 0xFF]): (number,) for number in range(1, 4)}
ONE, TWO, THREE = MODEMS

pytestmark = pytest.mark.requirement("R1-3")


def solicit(life: int) -> Heard:
    return Heard(CONCENTRATOR, (), Registration(Kind.SOLICIT, life))


def registered(modem: bytes, life: int, tags: tuple[int, ...] | None = None) -> Heard:
    return Heard(CONCENTRATOR, tags or MODEMS[modem], Registration(Kind.REGISTERED, life, modem))


def test_who_hears_nothing_sends_nothing():
    processors = Processors(MODEMS, 0.0)
    assert processors.deadline == float("inf")
    assert processors.due(100.0) == []
    assert processors.registered == 0


def test_each_modem_registers_on_its_circuit_after_the_delay_and_until_answered():
    processors = Processors(MODEMS, 2.0)
    processors.hear(solicit(7), 10.0)
    assert processors.deadline == 12.0
    assert processors.due(11.9) == []
    processors.hear(solicit(7), 11.0)  # again, as each second: changes nothing
    sent = processors.due(12.0)
    assert [(each.source, each.tags) for each in sent] == list(MODEMS.items())
    assert {each.says.kind for each in sent} == {Kind.REGISTER}
    assert {each.says.life for each in sent} == {7}
    assert not processors.hear(registered(ONE, 7), 12.1)
    assert processors.deadline == 12.0 + RETRY
    assert [each.source for each in processors.due(12.0 + RETRY)] == [TWO, THREE]
    assert not processors.hear(registered(TWO, 7), 13.1)
    assert processors.hear(registered(THREE, 7), 13.1)  # the last one
    assert processors.registered == 3
    assert not processors.hear(registered(THREE, 7), 13.2)
    assert processors.deadline == float("inf")


def test_only_the_right_answer_counts():
    processors = Processors(MODEMS, 0.0)
    processors.hear(solicit(7), 0.0)
    processors.due(0.0)
    processors.hear(registered(ONE, 6), 0.1)  # of another life
    processors.hear(registered(ONE, 7, (2,)), 0.1)  # on another modem's circuit
    processors.hear(Heard(ONE, (1,), Registration(Kind.REGISTER, 7, ONE)), 0.1)  # not the concentrator's
    assert processors.registered == 0


def test_a_new_life_of_the_concentrator_begins_anew():
    processors = Processors(MODEMS, 0.0)
    processors.hear(solicit(7), 0.0)
    processors.due(0.0)
    for modem in MODEMS:
        processors.hear(registered(modem, 7), 0.1)
    processors.hear(solicit(8), 5.0)
    assert processors.registered == 0
    assert [each.says.life for each in processors.due(5.0)] == [8, 8, 8]


def test_when_the_concentrator_falls_silent_so_do_the_modems():
    processors = Processors(MODEMS, 0.0)
    processors.hear(solicit(7), 0.0)
    sent, now = 0, 0.0
    while processors.deadline < 1000.0:
        now = processors.deadline
        sent += len(processors.due(now))
    assert now <= SILENCE
    assert sent <= len(MODEMS) * (1 + SILENCE / RETRY)
    processors.hear(solicit(7), 20.0)  # it speaks again
    assert len(processors.due(20.0)) == 3


def test_thousands_take_turns():
    modems = {number.to_bytes(6, "big"): (number,) for number in range(1, 4095)}
    processors = Processors(modems, 0.0)
    processors.hear(solicit(7), 0.0)
    answered, now = 0, 0.0
    while answered < len(modems):
        sent = processors.due(now)
        assert 0 < len(sent) <= WINDOW
        for said in sent:
            last = processors.hear(
                Heard(CONCENTRATOR, said.tags, Registration(Kind.REGISTERED, 7, said.source)), now
            )
            answered += 1
            assert last == (answered == len(modems))
        now += 0.01
