"""Why packets and messages are dropped, and addresses refused. The values stand in records and counters."""

from __future__ import annotations

from enum import Enum


class DropReason(Enum):
    """Why the engine drops what an event is about."""

    # packets
    OUT_OF_RANGE = "out-of-range"  # the address is none of a host on the access networks (R6.2-7, R7-4)
    SPOOFED = "spoofed"  # the source does not match the address's location (R1-5)
    REFUSED = "refused"  # the address is in the negative cache (R7-3)
    QUERY_LIMIT = "query-limit"  # the circuit, or the network side, has used up its share of queries
    UNLOCATED = "unlocated"  # the location is unknown, and no way to find it is in use
    UNANSWERABLE = "unanswerable"  # no server answers such a query about this address (R6.5-5, R6.5-6)
    ARP_CONTRADICTION = "arp-contradiction"  # an ARP reply contradicts the address's location (R4.1-1)
    ARP_UNASKED = "arp-unasked"  # an ARP reply that nobody asked for, or a second one

    # DHCP messages of hosts
    ROGUE_SERVER = "rogue-server"  # a server's message from the access side
    NOT_A_CLIENTS = "not-a-client's"  # a message type from the access side that no client sends
    SPOOFED_GIADDR = "spoofed-giaddr"  # giaddr set by a client
    SPOOFED_OPTION_82 = "spoofed-option-82"  # set by a client, or by an access node that is not trusted
    SPOOFED_UNICAST = "spoofed-unicast"  # to a server itself, and the host may not send it there
    TWO_ADDRESSES = "two-addresses"  # the message names two addresses
    MESSAGE_LIMIT = "message-limit"  # the circuit has used up its share of DHCP messages
    MOVED = "moved"  # about an address that another circuit has
    HOPS = "hops"  # passed too many relays

    # DHCP messages of servers
    UNKNOWN_SERVER = "unknown-server"  # from none of the configured servers
    SERVER_PORT = "server-port"  # from a server's address, and not from port 67
    UNASKED_REPLY = "unasked-reply"  # answers no open request, or one that was answered
    FOREIGN_CIRCUIT = "foreign-circuit"  # with option 82 that this concentrator cannot have written
    UNMATCHED = "unmatched"  # answers no query under way
    NOT_A_REPLY = "not-a-reply"  # relayed, and no reply to us
    NO_CIRCUIT = "no-circuit"  # the circuit of the reply's client is unknown

    MALFORMED = "malformed"  # cannot be read, or cannot be passed on


class RefusalReason(Enum):
    """Why an address is not to be used, and not to be asked about, for a time."""

    KNOWN = "known"  # the servers' answer: nobody leases it (R6.5-2)
    UNKNOWN = "unknown"  # the servers' answer: it is none of theirs (R6.5-5)
    NO_LOCATION = "no-location"  # a lease without option 82
    FOREIGN_CIRCUIT = "foreign-circuit"  # its option 82 names no circuit of ours
    MODEM_ABSENT = "modem-absent"  # its modem is not registered
    NO_ARP_REPLY = "no-arp-reply"  # mode "arp": no host has it
