# "It learns locations by gleaning": all were known before anybody was asked about.
assert set(lab.locations()["address"]) == set(lab.hosts()["address"])

# "The server keeps that, together with the lease": the circuit-id and the remote-id of option 82.
assert bindings[["circuit_id", "remote_id"]].notna().all(axis=None)

# "Downstream rewrites the hardware address and puts the circuit's tag on."
actions = " ".join(flows["actions"])
assert "push_vlan" in actions
assert lab.bindings().set_index("address")["chaddr"][address] in actions

# "Upstream admits only ... the right hardware address and the right source address."
assert flows["match"].str.contains(rf"dl_src=.*nw_src={address}(?![\d.])").sum() == 1

# The lab is open, and the button works: the memory goes, and the probes bring it back.
assert lab.running()["concentrator"]
started = max(lab.flows()["age"])
lab.reboot()
lab.wait_until_reached()
assert max(lab.flows()["age"]) < started + 60
assert set(lab.hosts()["state"]) == {"located"}

# "Closing this tab does not end the lab ... End it with `lab.close()`."
lab.close()
