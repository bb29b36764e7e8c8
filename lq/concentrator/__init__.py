"""The access concentrator's logic: relay, gleaning, leasequery, verification of sources.

What may live here: decisions. Events and the current time go in, effects come out; no I/O, no
clock, no framework. The same engine runs behind OpenFlow, in virtual time and in unit tests.

`engine.Concentrator` composes the parts: `relay` (and gleaning), `location` and `modems` (who is
where), `refused` (negative cache), `query` and `queries` (the draft's section 6.6), `answers` (6.5).
"""
