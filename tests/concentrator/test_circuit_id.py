import pytest
from hypothesis import given
from hypothesis import strategies as st

from lq.concentrator.circuit_id import BinaryCircuitId, TextCircuitId
from lq.concentrator.events import Circuit
from lq.concentrator.option_82 import Modems, OwnCircuits
from lq.wire import RelayInfo
from tests.concentrator.helpers import CIRCUIT, MODEM, OTHER_CIRCUIT, OTHER_MODEM, config, info

circuits = st.builds(
    Circuit,
    st.integers(1, 0xFFFFFF),
    st.lists(st.integers(1, 4094), max_size=2).map(tuple),
)


@given(circuits)
def test_both_formats_read_what_they_write(circuit):
    for form in (BinaryCircuitId(), TextCircuitId("dslam-3")):
        assert form.decode(form.encode(circuit)) == circuit


@given(st.binary(max_size=40))
def test_foreign_octets_are_no_circuit_or_are_written_back_the_same(octets):
    circuit = BinaryCircuitId().decode(octets)
    assert circuit is None or BinaryCircuitId().encode(circuit) == octets
    assert TextCircuitId("dslam").decode(octets) is None


def test_the_text_form_is_that_of_dsl_networks():
    form = TextCircuitId("dslam")
    assert form.encode(Circuit(3, (101,))) == b"dslam eth 0/3:101"
    assert form.encode(Circuit(256 + 3, (200, 101))) == b"dslam eth 1/3:200.101"
    assert form.encode(Circuit(3)) == b"dslam eth 0/3"
    for foreign in (b"other eth 0/3:101", b"dslam atm 0/3:101", b"dslam eth 0/300:1", b"dslam eth 0/3:", b""):
        assert form.decode(foreign) is None


def test_the_binary_form_is_compact():
    assert BinaryCircuitId().encode(Circuit(2, (7, 4094))) == bytes.fromhex("0000000200070ffe")


@pytest.mark.requirement("R1-3")
@pytest.mark.requirement("R5-11")
def test_a_host_is_where_its_modem_is_registered_now_else_where_the_circuit_id_says():
    modems = Modems(BinaryCircuitId(), OwnCircuits(config()))
    assert modems.circuit(info(CIRCUIT, MODEM)) == CIRCUIT
    assert modems.register(MODEM, OTHER_CIRCUIT)
    assert not modems.register(MODEM, OTHER_CIRCUIT)
    assert modems.circuit(info(CIRCUIT, MODEM)) == OTHER_CIRCUIT
    assert modems.circuit(info(OTHER_CIRCUIT, OTHER_MODEM)) is None, "another modem's circuit by now"
    assert modems.circuit(info(OTHER_CIRCUIT)) == OTHER_CIRCUIT
    assert modems.circuit(RelayInfo(b"not ours", None)) is None
    assert modems.circuit(RelayInfo(None, OTHER_MODEM)) is None
    assert modems.relay_info(OTHER_CIRCUIT) == info(OTHER_CIRCUIT, MODEM)
    assert modems.relay_info(CIRCUIT) == info(CIRCUIT)


def test_a_circuit_has_one_modem_and_a_modem_one_circuit():
    modems = Modems(BinaryCircuitId(), OwnCircuits(config()))
    modems.register(MODEM, CIRCUIT)
    modems.register(OTHER_MODEM, CIRCUIT)
    assert len(modems) == 1
    assert modems.relay_info(CIRCUIT).remote_id == OTHER_MODEM
    modems.register(OTHER_MODEM, OTHER_CIRCUIT)
    assert modems.relay_info(CIRCUIT).remote_id is None
    assert len(modems) == 1
