# "Without them both a subscriber and a host anywhere in the Internet do all three."
succeeded = undefended.table("attacks")
for attacker in ("subscriber", "off-path"):
    own = succeeded[succeeded["attacker"] == attacker]
    assert own["hijacked"].any(), attacker
    assert own["cut_off"].any(), attacker
    assert (own["disclosed"] > 0).any(), attacker

# "tries some thirty forgeries"
tried = succeeded.groupby("attacker")["attack"].nunique()
assert 28 <= tried.sum() <= 32

# "The clone succeeds where `moves` is always", and is what succeeds there.
clones = policies["always"].table("attacks").set_index("attack")
assert clones.loc["clone", "hijacked"]

# "(16 by default)", "(100 in 10 s)"
assert limited.spec.leases_per_circuit == 16
assert limited.spec.concentrator.quota_interval == 10

# The row when-gone is the run with all defences.
assert policies["when-gone"] is defended
assert defended.spec.concentrator.moves == "when-gone"
