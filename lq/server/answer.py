"""Answers to leasequery (draft section 6.3 and 6.4): one query in octets and the time in, one reply out.

What may live here: reading a query, finding the binding it asks for, writing the reply. No I/O, no
clock, and no change of any binding (R3-1).

How it is fast. A concentrator sends the same octets again and again but for a few fields, and so does
the server. What is worked out once and what is filled in each time:

* once for each option field that queries carry: a `_Question`, with the `_Layout` of the answer: which
  options to return, and where the times stand among them;
* once for each binding, until it changes or its lease ends: its template for a layout, which is the
  whole reply but the fields below, kept in `Binding.template`;
* each time, in a copy of the template: xid and giaddr from the query, and the times that run.
"""

from __future__ import annotations

import logging
import struct
from collections import Counter
from typing import NamedTuple

from lq.server.bindings import NEVER, Binding, Bindings, State
from lq.server.config import ServerConfig
from lq.server.pools import Ranges
from lq.wire.message import BOOTREPLY, MAGIC_COOKIE, decode_options
from lq.wire.options import OptionCode, parse_field, pieces

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


class _Layout:
    """The form of answers to one Parameter Request List, asked by one form of query.

    The times asked for stand first, where all answers of a layout have them; an answer without valid
    lease has but option 91 (R6.4.2-5, R6.4.2-6). `with_lease` and `without_lease` mark a template as
    one of this layout.
    """

    def __init__(self, requested: tuple[int, ...], by_hardware: bool) -> None:
        self.requested = requested
        self.by_hardware = by_hardware
        self.lease_time, self.renewal, self.rebinding, self.last = (code in requested for code in _TIMES)
        self.with_lease, self.without_lease = object(), object()


class Question(NamedTuple):
    """The option field of a query, read: client identifier asked for, and the form of its answer."""

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
        self._layouts: dict[bytes, tuple[_Layout, _Layout]] = {}  # by Parameter Request List
        identifier = bytes((OptionCode.SERVER_IDENTIFIER, 4)) + config.listen.packed
        self._active = self._fixed_part(self._dialect.active) + identifier
        self._known = self._fixed_part(self._dialect.known) + identifier
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
        found = self._question(client_id, options.get(OptionCode.PARAMETER_REQUEST_LIST, b""))
        # Queries by client identifier all differ, and overloaded ones have options elsewhere, too.
        if client_id is None and not overloaded and len(octets) < _LONGEST:
            if len(self._questions) >= _REMEMBERED:
                self._questions.clear()
            self._questions[octets[236:]] = found
        return found

    def _question(self, client_id: bytes | None, requested: bytes) -> Question:
        layouts = self._layouts.get(requested)
        if layouts is None:
            if len(self._layouts) >= _REMEMBERED:
                self._layouts.clear()
            codes = tuple(dict.fromkeys(requested))
            layouts = self._layouts[requested] = (_Layout(codes, False), _Layout(codes, True))
        return Question(client_id, *layouts)

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
            return self._about(Binding(ciaddr, state=State.RELEASED), query, layout, now)
        return self._nothing(query, self._unknown, "unknown")

    def _by_client(
        self, form: str, query: bytes, found: list[Binding], layout: _Layout, now: float
    ) -> bytes | bytearray | None:
        """R6.4.1-2: of several addresses the one of the most recent transaction, or as configured.

        No address: UNKNOWN (R6.4.1-3). A form switched off: UNIMPLEMENTED, where the dialect has it
        (R6.4-6).
        """
        if form not in self._settings.forms:
            if self._dialect.unimplemented is None:
                return self._refuse(f"query by {form} is switched off", query)
            return self._nothing(query, self._unimplemented, "unimplemented")
        if not found:
            return self._nothing(query, self._unknown, "unknown")
        if len(found) == 1:
            return self._about(found[0], query, layout, now)
        if self._settings.prefer == "longest-lease":
            chosen = max(found, key=lambda each: (each.leased(now), each.expires, each.last_transaction))
        else:
            chosen = max(found, key=lambda each: each.last_transaction)
        return self._about(chosen, query, layout, now)

    def _nothing(self, query: bytes, options: bytes, name: str) -> bytes:
        """A reply that echoes what was asked for and says nothing else."""
        self.counters[f"answered: {name}"] += 1
        head = bytes((BOOTREPLY,)) + query[1:3] + b"\0" + query[4:8] + _ZERO + query[12:16] + bytes(8)
        return (head + query[24:44] + options).ljust(_SHORTEST, b"\0")

    def _about(self, binding: Binding, query: bytes, layout: _Layout, now: float) -> bytearray:
        """ACTIVE if leased now (R6.4-4), else KNOWN (R6.4-1, R6.4.2-1), with the options asked for."""
        leased = binding.state == _LEASED and binding.expires > now  # Binding.leased, without the call
        wanted = layout.with_lease if leased else layout.without_lease
        if binding.template_of is not wanted:
            binding.template = self._template(binding, layout, leased)
            binding.template_of = wanted
        active = leased or (binding.reserved and self._settings.reservation_as_active)
        self.counters["answered: active" if active else "answered: known"] += 1
        reply = bytearray(binding.template)
        reply[4:8] = query[4:8]
        reply[24:28] = query[24:28]
        times: list[int] = []
        if leased:
            if layout.lease_time:
                times += _LEASE_TIME, _seconds(binding.expires - now)
            if layout.renewal:
                times += _RENEWAL, _seconds(binding.renews - now)
            if layout.rebinding:
                times += _REBINDING, _seconds(binding.rebinds - now)
        if layout.last and binding.last_transaction != NEVER:
            # Whole seconds before the moment of sending, never an absolute time (R6.1-1).
            times += _LAST, _seconds(now - binding.last_transaction)
        _FILL[len(times) >> 1](reply, _TIMES_AT, *times)
        return reply

    # -- what is worked out once for a binding -------------------------------------------------------

    def _template(self, binding: Binding, layout: _Layout, leased: bool) -> bytes:
        """The reply but for the fields filled in each time, with room for its times.

        It names the address and the client tied to it (R5-8, R6.4.2-2); the R flag says that this
        client holds a reservation on it (R6.4-2).
        """
        # Without a lease, ACTIVE only for a reservation and if so configured (R6.4-5).
        active = leased or (binding.reserved and self._settings.reservation_as_active)
        times = leased * (layout.lease_time + layout.renewal + layout.rebinding)
        times += layout.last and binding.last_transaction != NEVER
        head = _HEAD.pack(
            BOOTREPLY,
            binding.htype,
            len(binding.chaddr),
            self._dialect.r_flag if binding.reserved else 0,
            binding.packed,
            binding.chaddr,
        )
        octets = head + (self._active if active else self._known) + bytes(6 * times)
        octets += b"".join(pieces(self._options(binding, layout))) + b"\xff"
        return octets.ljust(_SHORTEST, b"\0")

    def _options(self, binding: Binding, layout: _Layout) -> dict[int, bytes]:
        """The options asked for that do not change with time (R6.4.2-3, R6.4.2-4, R6.4.2-7, R6.4.2-8)."""
        options: dict[int, bytes] = {}
        past = parse_field(binding.sent) | parse_field(binding.returned)
        for code in layout.requested:
            if code in _HANDLED:
                continue
            if code == OptionCode.CLIENT_IDENTIFIER:
                value = binding.client_id
            elif code == OptionCode.RELAY_AGENT_INFORMATION:
                value = binding.relay_info
            elif code == self._dialect.client_addresses_option:
                value = self._addresses(binding, layout.by_hardware)
            else:
                value = past.get(code)
            if value is not None:
                options[code] = value
        return options

    def _addresses(self, binding: Binding, by_hardware: bool) -> bytes | None:
        """All addresses of the client, most recent first, if it has several (R6.4.2-4)."""
        if binding.client_id is not None and not by_hardware:
            found = self.bindings.of_client_id(binding.client_id)
        else:
            found = self.bindings.of_hardware(binding.hardware)
        if len(found) < 2:
            return None
        ordered = sorted(found, key=lambda each: each.last_transaction, reverse=True)
        return b"".join(each.packed for each in ordered)


def _seconds(duration: float) -> int:
    """Whole seconds within the 32 bits of an option."""
    return int(min(max(duration, 0.0), 4294967295.0))
