# "The concentrator asks the servers to which it relays": both, where there are two.
assert deaths[True].table("queries")["server"].nunique() == 2

# "While the concentrator is down, the server that holds most of the leases dies."
assert deaths[False].summary["held_by_dead"] >= subscribers / 2

# "only ACTIVE locates a host": the survivor says UNKNOWN about the others.
lost = deaths[False].table("queries")
assert (lost["reply"] == "unknown").sum() == deaths[False].summary["held_by_dead"]
assert (lost["reply"] == "active").sum() == deaths[False].summary["recovered"]

# "Only one of the two servers hears of that": they name different modems.
assert answers.loc[told, "modem"].nunique() == 2
assert answers.loc[told, "server"].nunique() == 2
