"""The emulated network inside the sealed lab: nodes, servers, controller, traffic, attackers."""
