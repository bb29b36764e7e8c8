"""The access concentrator's logic: relay, gleaning, leasequery, verification of sources.

What may live here: decisions. Events and the current time go in, effects come out; no I/O, no
clock, no framework. The same engine runs behind OpenFlow, in virtual time and in unit tests.

`engine.Concentrator` composes the parts: `relay` (and gleaning); `places`, what is known of addresses
(`location`, `refused`, `modems`, `access`); and the ways to find a host: `leasequery` (`query`, `queries` for
the draft's section 6.6, `answers` for 6.5, `authorities`), or `arp`.
"""
