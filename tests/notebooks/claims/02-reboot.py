from lq.results.finished_run import Run

# "A client renews after half of its lease, which here is half an hour."
assert with_leasequery.spec.server.lease_time / 2 == 30 * 60

# "Two zeros": `at` counts from the reboot, and the takeover lies `outage_s` later.
takeover = with_leasequery.summary["outage_s"]
assert takeover > 0
assert (queries["at"] >= takeover).all()
assert queries["since the takeover"].equals(queries["at"] - takeover)

# "Each address was asked about once, and each query was answered."
assert queries["address"].is_unique
assert set(queries["reply"]) == {"active"}
assert queries["answered"].notna().all()

# "The first query goes alone": to a server that nobody knows yet. With a window of 1 all go alone.
for finished in [Run(reboots.directory / each) for each in swept["run_dir"]]:
    asked = finished.table("queries").sort_values("at")
    out = [(asked["at"] <= at).sum() - (asked["answered"] <= at).sum() for at in asked["at"]]
    opened = asked["answered"].min()
    assert (asked["at"] < opened).sum() == 1
    assert finished.spec.concentrator.window > 1 or max(out) == 1

# "Without it nobody is", though packets were sent to everybody.
assert without.summary["probes_delivered"] < without.summary["probes_sent"]
assert without.recovery.isna().all()
