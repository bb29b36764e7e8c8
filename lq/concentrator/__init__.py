"""The access concentrator's logic: relay, gleaning, leasequery, verification of sources.

What may live here: decisions. Events and the current time go in, effects come out; no I/O, no
clock, no framework. The same engine runs behind OpenFlow, in virtual time and in unit tests.

Find a thing by what it is called:

* `engine` composes the parts; `events` are what goes in and what comes out, `config` what one may set.
* DHCP: `relay` passes messages on, `exchanges` are its open requests, `claims` says who may take over an
  address; `gleaning` learns from what passes, `option_82` and `circuit_id` tell circuits.
* Addresses: `location` is the table of locations, `negative_cache` that of refusals, `places` keeps both in
  step; `access` are the networks; `source_verification` judges where packets come from.
* Hosts are found by `leasequery` (`query`, `composer`, `answers`, `authorities`), or by `arp`; `backoff`
  says when a query is sent, by the states of `server_state`.
"""
