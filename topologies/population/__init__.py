"""A population: one process that speaks for thousands of subscribers, with the same frames on the wire.

```
layout   modems with their circuits, hosts with their modems
client   a DHCP client: states, messages, times (no I/O)
hosts    all hosts: their clients, ARP, answers (no I/O)
probes   the probes that arrive, many at a time
ring     what reaches the interface, as arrays
frames   Ethernet, ARP, IPv4, UDP, ICMP in octets
```

`python -m topologies.population PLAN.json CHANNEL_FD` is the process (`__main__`).
"""
