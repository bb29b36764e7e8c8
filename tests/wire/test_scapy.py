"""The codec against scapy, an implementation that shares nothing with it."""

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP

from lq.wire import Message, decode

addresses = st.integers(0, 2**32 - 1).map(lambda number: str(IPv4Address(number)))
u32 = st.integers(0, 2**32 - 1)
text = st.binary(min_size=1, max_size=255)

# scapy's name of the option, its code, values, and a value in octets
OPTIONS = {
    "subnet_mask": (1, addresses, lambda value: IPv4Address(value).packed),
    "router": (3, addresses, lambda value: IPv4Address(value).packed),
    "hostname": (12, text, bytes),
    "vendor_specific": (43, text, bytes),
    "requested_addr": (50, addresses, lambda value: IPv4Address(value).packed),
    "lease_time": (51, u32, lambda value: value.to_bytes(4, "big")),
    "server_id": (54, addresses, lambda value: IPv4Address(value).packed),
    "param_req_list": (55, st.lists(st.integers(0, 255), min_size=1, max_size=255), bytes),
    "renewal_time": (58, u32, lambda value: value.to_bytes(4, "big")),
    "rebinding_time": (59, u32, lambda value: value.to_bytes(4, "big")),
    "vendor_class_id": (60, text, bytes),
    "client_id": (61, text, bytes),
}
chosen = st.lists(st.sampled_from(sorted(OPTIONS)), unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: OPTIONS[name][1] for name in names})
)
headers = st.fixed_dictionaries(
    {
        "op": st.sampled_from((1, 2)),
        "htype": st.integers(0, 255),
        "hops": st.integers(0, 255),
        "xid": u32,
        "secs": st.integers(0, 65535),
        "flags": st.integers(0, 65535),
        **dict.fromkeys(("ciaddr", "yiaddr", "siaddr", "giaddr"), addresses),
    }
)
FIELDS = ("op", "htype", "hops", "xid", "secs", "ciaddr", "yiaddr", "siaddr", "giaddr")


@given(headers, st.binary(max_size=16), chosen, st.integers(1, 13))
def test_we_read_what_scapy_writes(header, chaddr, options, kind):
    packet = BOOTP(**header, hlen=len(chaddr), chaddr=chaddr.ljust(16, b"\0"))
    packet /= DHCP(options=[("message-type", kind), *options.items(), "end"])
    message = decode(bytes(packet))
    assert {name: getattr(message, name) for name in FIELDS if "addr" not in name} == {
        name: header[name] for name in FIELDS if "addr" not in name
    }
    assert [str(getattr(message, name)) for name in FIELDS if "addr" in name] == [
        header[name] for name in FIELDS if "addr" in name
    ]
    assert (message.flags, message.chaddr, message.message_type) == (header["flags"], chaddr, kind)
    expected = {OPTIONS[name][0]: OPTIONS[name][2](value) for name, value in options.items()}
    assert message.options == {53: bytes((kind,)), **expected}


@given(headers, st.binary(max_size=16), chosen, st.integers(1, 13))
def test_scapy_reads_what_we_write(header, chaddr, options, kind):
    own = {name: IPv4Address(value) if "addr" in name else value for name, value in header.items()}
    message = Message(**own, chaddr=chaddr, options={53: bytes((kind,))})
    message.options |= {OPTIONS[name][0]: OPTIONS[name][2](value) for name, value in options.items()}
    packet = BOOTP(message.encode())
    assert {name: packet.fields[name] for name in FIELDS} == {name: header[name] for name in FIELDS}
    assert int(packet.flags) == header["flags"]
    assert (packet.hlen, packet.chaddr[: packet.hlen]) == (len(chaddr), chaddr)
    read = {option[0]: option[1] for option in packet[DHCP].options if isinstance(option, tuple)}
    assert read.pop("message-type") == kind
    assert read == options
