"""Answers to leasequery (sections 6.3 and 6.4 of the draft and of RFC 4388): one query in octets and the
time in, one reply out. Where the two rule differently, the dialect says which rule holds.

What may live here: reading a query, finding the binding it asks for, writing the reply. No I/O, no
clock, and no change of any binding (R3-1).

How it is fast. A concentrator sends the same octets again and again but for a few fields, and so does
the server. What is worked out once and what is filled in each time:

* once for each option field that queries carry: a `_Question`, with the `_Layout` of the answer: which
  options to return, and where the times stand among them;
* once for each binding, until it changes or one of its times runs out: its template for a layout, which
  is the whole reply but the fields below, kept in `Binding.template`;
* each time, in a copy of the template: xid and giaddr from the query, and the times that run.
"""

from __future__ import annotations

import logging
import struct
from collections import Counter
from typing import NamedTuple

from lq.server.bindings import NO_TIME, Binding, Bindings, State
from lq.server.config import ServerConfig
from lq.server.pools import Ranges
from lq.server.replies import AllTerms
from lq.wire.dialect import Dialect
from lq.wire.message import BOOTREPLY, MAGIC_COOKIE, decode_options
from lq.wire.options import FOREVER, OptionCode, parse_field, pieces

_log = logging.getLogger(__name__)

_ZERO = bytes(4)
_ONE_TYPE = bytes((OptionCode.MESSAGE_TYPE, 1))  # the first option of nearly all messages, without its value
_SHORTEST = 300
_REMEMBERED = 1024  # option fields; one longer than _LONGEST is read anew each time
_LONGEST = 600

# op htype hlen hops | xid | secs flags | ciaddr | yiaddr siaddr | giaddr | chaddr
_HEAD = struct.Struct("!BBBx4x2xH4s8x4x16s")
_TIMES_AT = _HEAD.size + 192 + 4 + 3 + 6  # behind sname and file, magic cookie, options 53 and 54

_TIMES = (
    OptionCode.LEASE_TIME,
    OptionCode.RENEWAL_TIME,
    OptionCode.REBINDING_TIME,
    OptionCode.CLIENT_LAST_TRANSACTION_TIME,
)
_LEASE_TIME, _RENEWAL, _REBINDING, _LAST = (code << 8 | 4 for code in _TIMES)  # code and length
_FILL = [struct.Struct("!" + "HI" * count).pack_into for count in range(len(_TIMES) + 1)]
_LEASED = int(State.LEASED)
_HANDLED = frozenset({*_TIMES, OptionCode.MESSAGE_TYPE, OptionCode.SERVER_IDENTIFIER, OptionCode.OVERLOAD})


# What comes with an answer to a query without Parameter Request List: the times and echoes of our own ACK
# (options 51, 58, 59, 61, 82), and option 91, by which the answers of two servers can be compared.
_AS_REQUEST = (*_TIMES, OptionCode.CLIENT_IDENTIFIER, OptionCode.RELAY_AGENT_INFORMATION)


class _Layout:
    """The form of answers to one Parameter Request List (None: there is none), asked by one form of query.

    `requested` are the codes of the options to return. The times among them stand first, where all
    answers of a layout have them; `marks` tell templates apart: of this layout, with so many octets of
    times, with or without a valid lease. `terms`: the options configured for the address come, too.
    """

    def __init__(self, requested: bytes | None, form: str, dialect: Dialect) -> None:
        self.terms = requested is None and dialect.as_request
        codes = _AS_REQUEST if self.terms else requested or b""
        if form != "address" and dialect.lists_unasked:
            codes = (*codes, dialect.client_addresses_option)
        self.requested = tuple(dict.fromkeys(codes))
        self.form = form
        self.lease_time, self.renewal, self.rebinding, self.last = (code in codes for code in _TIMES)
        self.marks = [object() for _ in range(2 * len(_TIMES) + 2)]


class Question(NamedTuple):
    """The option field of a query, read: client identifier asked for, and the form of its answer.

    `layout` is for the query by client identifier where there is one, else by IP address.
    """

    client_id: bytes | None
    layout: _Layout
    layout_by_hardware: _Layout


class Answerer:
    """Answers queries from `bindings`, counting each answer and each refusal by reason."""

    def __init__(self, config: ServerConfig, bindings: Bindings, counters: Counter[str]) -> None:
        self.bindings = bindings
        self.counters = counters
        self._by_address = bindings.by_address
        self._settings = config.leasequery
        self._dialect = config.spoken
        self._leasequery = bytes((self._dialect.leasequery,))
        self._managed = Ranges(config.pools)
        self._questions: dict[bytes, Question] = {}
        # By Parameter Request List: by address, by client identifier, by hardware address.
        self._layouts: dict[bytes | None, tuple[_Layout, ...]] = {}
        self._terms, self._links = AllTerms(config), config.links
        identifier = bytes((OptionCode.SERVER_IDENTIFIER, 4)) + config.listen.packed
        self._active = self._fixed_part(self._dialect.active) + identifier
        self._known = self._fixed_part(self._dialect.known) + identifier
        self._names_former = self._dialect.tells_history or self._settings.former_client
        self._unassigned = self._template_of_address()
        # UNKNOWN carries no options but its type (R6.4-3), UNIMPLEMENTED neither.
        self._unknown = self._fixed_part(self._dialect.unknown) + b"\xff"
        self._unimplemented = self._fixed_part(self._dialect.unimplemented or 0) + b"\xff"

    @staticmethod
    def _fixed_part(message_type: int) -> bytes:
        """sname and file, the magic cookie, and option 53."""
        return bytes(192) + MAGIC_COOKIE + bytes((OptionCode.MESSAGE_TYPE, 1, message_type))

    # -- the question -------------------------------------------------------------------------------

    def question(self, octets: bytes) -> Question | None:
        """What a datagram asks, None if it is no leasequery. Raises MalformedMessage if it may be one."""
        found = self._questions.get(octets[236:])  # the magic cookie and all options
        if found is not None:
            return found
        if octets[240:242] == _ONE_TYPE and octets[242:243] != self._leasequery:
            return None  # a client's message, whatever else is in it: it is read elsewhere
        options, overloaded = decode_options(octets)
        if options.get(OptionCode.MESSAGE_TYPE) != self._leasequery:
            return None
        client_id = options.get(OptionCode.CLIENT_IDENTIFIER)
        found = self._question(client_id, options.get(OptionCode.PARAMETER_REQUEST_LIST))
        # Queries by client identifier all differ, and overloaded ones have options elsewhere, too.
        if client_id is None and not overloaded and len(octets) < _LONGEST:
            if len(self._questions) >= _REMEMBERED:
                self._questions.clear()
            self._questions[octets[236:]] = found
        return found

    def _question(self, client_id: bytes | None, requested: bytes | None) -> Question:
        layouts = self._layouts.get(requested)
        if layouts is None:
            if len(self._layouts) >= _REMEMBERED:
                self._layouts.clear()
            by_address, by_client_id, by_hardware = (
                _Layout(requested, form, self._dialect) for form in ("address", "client-id", "hardware")
            )
            if by_address.requested == by_client_id.requested:  # then one template serves both
                by_client_id = by_address
            layouts = self._layouts[requested] = (by_address, by_client_id, by_hardware)
        return Question(client_id, layouts[client_id is not None], layouts[2])

    # -- the answer ---------------------------------------------------------------------------------

    def answer(self, query: bytes, question: Question, now: float) -> bytes | bytearray | None:
        """The reply to a query, None where silence is due. `now` in seconds, as in the bindings.

        Every query of a form that the dialect can answer gets a reply (R5-2). Exactly one item is asked
        for (R6.3-2), and the answer depends on it alone (R6.3-3).
        """
        ciaddr = query[12:16]
        hlen = query[2]
        if hlen > 16:
            return self._refuse("malformed", query)
        if not hlen and question.client_id is None:
            if ciaddr == _ZERO:
                return self._refuse("query for nothing", query)
            return self._by_ip(query, ciaddr, question.layout, now)
        if ciaddr != _ZERO or (hlen and question.client_id is not None):
            if hlen and not any(query[28 : 28 + hlen]):
                # Requesters in the field name a length without an address: nothing is asked by that.
                return self.answer(query[:2] + b"\0" + query[3:], question, now)
            return self._refuse("query for several things", query)
        if hlen:
            return self._by_client(
                "hardware",
                query,
                self.bindings.of_hardware(query[1:2] + query[28 : 28 + hlen]),
                question.layout_by_hardware,
                now,
            )
        found = self.bindings.of_client_id(question.client_id or b"")
        return self._by_client("client-id", query, found, question.layout, now)

    def _refuse(self, reason: str, query: bytes) -> bytes | None:
        self.counters[f"dropped: {reason}"] += 1
        _log.warning("%s, from giaddr %s", reason, ".".join(map(str, query[24:28])))
        return None

    def _by_ip(self, query: bytes, ciaddr: bytes, layout: _Layout, now: float) -> bytes | bytearray:
        """R6.4.1-1: an address that this server manages goes back in ciaddr, any other is UNKNOWN."""
        binding = self._by_address.get(ciaddr)
        if binding is not None:
            return self._about(binding, query, layout, now)
        if ciaddr in self._managed:
            return self._of_address(query, ciaddr)
        return self._nothing(query, self._unknown, "unknown")

    def _by_client(
        self, form: str, query: bytes, found: list[Binding], layout: _Layout, now: float
    ) -> bytes | bytearray | None:
        """R6.4.1-2: the address of the client's lease; of several that of the most recent transaction, or
        as configured.

        Without a lease: in the draft the address that it had, in RFC 4388 none. No address: UNKNOWN
        (R6.4.1-3). A form switched off: UNIMPLEMENTED, where the dialect has it (R6.4-6).
        """
        if form not in self._settings.forms:
            if self._dialect.unimplemented is None:
                return self._refuse(f"query by {form} is switched off", query)
            return self._nothing(query, self._unimplemented, "unimplemented")
        if len(found) == 1 and found[0].state == _LEASED and found[0].expires > now:  # as nearly always
            return self._about(found[0], query, layout, now)
        chosen = self._chosen(found, now)
        if chosen is None:
            return self._nothing(query, self._unknown, "unknown")
        return self._about(chosen, query, layout, now)

    def _chosen(self, found: list[Binding], now: float) -> Binding | None:
        """The address of a client to answer about (R6.4.1-2), None for none.

        A transaction that returned an address is an acknowledgement: a RELEASE or an expiry returns
        none, and an offer gives no lease yet. So an address leased now comes before any that was.
        """
        candidates = [each for each in found if self._is_active(each, now)]
        if not candidates and self._dialect.tells_history:
            candidates = found
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        if self._settings.prefer == "longest-lease":
            return max(candidates, key=lambda each: (each.leased(now), each.expires, each.last_transaction))
        return max(candidates, key=lambda each: each.last_transaction)

    def _is_active(self, binding: Binding, now: float) -> bool:
        """Leased now (R6.4-4), or reserved where the configuration has that answered likewise (R6.4-5)."""
        return binding.leased(now) or (binding.reserved and self._settings.reservation_as_active)

    def _nothing(self, query: bytes, options: bytes, name: str) -> bytes:
        """A reply that echoes what was asked for and says nothing else."""
        self.counters[f"answered: {name}"] += 1
        head = bytes((BOOTREPLY,)) + query[1:3] + b"\0" + query[4:8] + _ZERO + query[12:16] + bytes(8)
        return (head + query[24:44] + options).ljust(_SHORTEST, b"\0")

    def _of_address(self, query: bytes, ciaddr: bytes) -> bytearray:
        """KNOWN of an address without a client: the address, and nothing else (R6.4-1)."""
        self.counters["answered: known"] += 1
        reply = bytearray(self._unassigned)
        reply[4:8] = query[4:8]
        reply[12:16] = ciaddr
        reply[24:28] = query[24:28]
        return reply

    def _about(self, binding: Binding, query: bytes, layout: _Layout, now: float) -> bytearray:
        """ACTIVE if leased now (R6.4-4), else KNOWN (R6.4-1, R6.4.2-1), with the options asked for.

        Without a lease there are no times of one (R6.4.2-5, R6.4.2-6). KNOWN of RFC 4388 is about the address
        alone, unless the configuration has its client named.
        """
        leased = binding.state == _LEASED and binding.expires > now  # Binding.leased, without the call
        active = leased or (binding.reserved and self._settings.reservation_as_active)
        if not (active or self._names_former):
            return self._of_address(query, binding.packed)
        times: list[int] = []
        if leased:
            if layout.lease_time:
                times += _LEASE_TIME, _seconds(binding.expires - now)
            if binding.expires < FOREVER:  # a lease without end is never renewed
                if layout.renewal and binding.renews > now:
                    times += _RENEWAL, _seconds(binding.renews - now)
                if layout.rebinding and binding.rebinds > now:
                    times += _REBINDING, _seconds(binding.rebinds - now)
        if layout.last and binding.last_transaction != NO_TIME:
            # Whole seconds before the moment of sending, never an absolute time (R6.1-1).
            times += _LAST, _seconds(now - binding.last_transaction)
        wanted = layout.marks[len(times) | leased]
        if binding.template_of is not wanted or now >= binding.template_until:
            binding.template = self._template(binding, layout, active, len(times) >> 1, now)
            binding.template_of = wanted
        self.counters["answered: active" if active else "answered: known"] += 1
        reply = bytearray(binding.template)
        reply[4:8] = query[4:8]
        reply[24:28] = query[24:28]
        _FILL[len(times) >> 1](reply, _TIMES_AT, *times)
        return reply

    # -- what is worked out once for a binding -------------------------------------------------------

    def _template_of_address(self) -> bytes:
        """KNOWN without a client, but for xid, ciaddr and giaddr."""
        head = _HEAD.pack(BOOTREPLY, 0, 0, 0, _ZERO, b"")
        return (head + self._known + b"\xff").ljust(_SHORTEST, b"\0")

    def _template(self, binding: Binding, layout: _Layout, active: bool, times: int, now: float) -> bytes:
        """The reply but for the fields filled in each time, with room for so many times.

        It names the address and the client tied to it (R5-8, R6.4.2-2); the R flag says that this
        client holds a reservation on it (R6.4-2).
        """
        head = _HEAD.pack(
            BOOTREPLY,
            binding.htype,
            len(binding.chaddr),
            self._dialect.r_flag if binding.reserved else 0,
            binding.packed,
            binding.chaddr,
        )
        octets = head + (self._active if active else self._known) + bytes(6 * times)
        octets += b"".join(pieces(self._options(binding, layout, now))) + b"\xff"
        return octets.ljust(_SHORTEST, b"\0")

    def _options(self, binding: Binding, layout: _Layout, now: float) -> dict[int, bytes]:
        """The options asked for that do not change with time (R6.4.2-3, R6.4.2-4, R6.4.2-7, R6.4.2-8)."""
        options = self._configured(binding) if layout.terms else {}
        past = parse_field(binding.sent) | parse_field(binding.returned)
        binding.template_until = FOREVER
        for code in layout.requested:
            if code in _HANDLED:
                continue
            if code == OptionCode.CLIENT_IDENTIFIER:
                value = binding.client_id
            elif code == OptionCode.RELAY_AGENT_INFORMATION:
                value = binding.relay_info
            elif code == self._dialect.client_addresses_option:
                value = self._addresses(binding, layout.form, now)
            else:
                value = past.get(code)
            if value is not None:
                options[code] = value
        return options

    def _configured(self, binding: Binding) -> dict[int, bytes]:
        """What a DHCPREQUEST for the address gets that lists no options."""
        link = next((link for link in self._links if link.subnet_of(binding.address) is not None), None)
        return dict(self._terms.of(binding.packed, link).options) if link is not None else {}

    def _addresses(self, binding: Binding, form: str, now: float) -> bytes | None:
        """All addresses of the client, most recent first, if it has several (R6.4.2-4).

        Where only leases count, the list holds until the first of them ends.
        """
        if binding.client_id is not None and form != "hardware":
            found = self.bindings.of_client_id(binding.client_id)
        else:
            found = self.bindings.of_hardware(binding.hardware)
        if len(found) < 2:
            return None
        if not self._dialect.tells_history:
            found = [each for each in found if each.leased(now)]
            binding.template_until = min((each.expires for each in found), default=FOREVER)
            if len(found) < 2:
                return None
        ordered = sorted(found, key=lambda each: each.last_transaction, reverse=True)
        return b"".join(each.packed for each in ordered)


def _seconds(duration: float) -> int:
    """Whole seconds within the 32 bits of an option; all of them set say that there is no end."""
    return int(min(max(duration, 0.0), 4294967295.0))
