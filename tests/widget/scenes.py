"""Scenes to draw: what a lab would tell, made up."""

from lq.widget import scene


def view(modems=2, each=(1, 2), **changes):
    """Return what a lab tells of itself; every state is there where there are hosts enough."""
    counts = each if isinstance(each, tuple) else (each,) * modems
    hosts, number = [], 0
    for modem, behind in enumerate(counts, 1):
        for _ in range(behind):
            number += 1
            state = scene.STATES[number % 4]
            address = f"198.18.{number // 256}.{number % 256}"
            hosts.append((f"host{number}", address, state, state == "located", f"modem{modem}"))
    told = {
        "figure": "cable",
        "name": "cmts",
        "concentrator": "up",
        "rebooted": True,
        "since": 12.44,
        "outage": 1.25,
        "servers": {"server": True},
        "hosts": hosts,
        "modems": {f"modem{number}": str(number) for number in range(1, len(counts) + 1)},
        "queries": 40,
        "answers": 39,
        "messages": [message(number) for number in range(8)],
    }
    told.update(changes)
    told["counts"] = {
        **{state: sum(host[2] == state for host in told["hosts"]) for state in scene.STATES},
        "reached": sum(host[3] for host in told["hosts"]),
    }
    return told


def message(number, **changes):
    query = number % 2 == 0
    return {
        "number": number,
        "since": 9 + number / 2,
        "kind": "query" if query else "answered",
        "server": "server",
        "about": f"host{number // 2 + 1}",
        "reply": None if query else ("unknown" if number == 3 else "active"),
        "attempt": 2 if number == 4 else 1 if query else None,
        **changes,
    }
