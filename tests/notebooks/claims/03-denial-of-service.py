# "The restriction takes away the half that is out of range."
counted = scans.set_index(["defences", "attack.rate"])
for rate in RATES:
    assert counted.loc[("ciaddr restriction", rate), "outside_queries"] == 0
    assert counted.loc[("both", rate), "outside_queries"] == 0
    assert counted.loc[("none", rate), "outside_queries"] > 0

# "Each address is asked about once, however fast the attacker sends."
assert (counted.loc["negative cache", "inside_queries_most"] <= 1).all()
assert (counted.loc["both", "inside_queries_most"] <= 1).all()

# "The line ends at 53: the other three are about the three subscribers."
limited = spoofed[50]
assert limited.summary["subscribers"] == 3
by_reply = limited.table("queries")["reply"].value_counts()
assert by_reply["active"] == 3
assert limited.summary["queries_sent"] == limited.summary["inside_queries"] + 3

# "... exactly one query is sent about each subscriber, and none about an address out of range."
assert counts["defended"]["subscribers' addresses"] == claim.summary["subscribers"]
assert counts["defended"]["out of range"] == 0
