# "each of them would receive 10,000 requests or more ... Together ... a hundred million"
assert 10_000 * 10_000 == 100_000_000

# "The line for ARP grows with the network": about one request for each host.
ratio = found["arp_frames_per_host"] / found.index
assert (ratio >= 0.9).all()

# "With leasequery nobody is disturbed."
assert (found["leasequery_arp_frames_per_host"] == 0).all()

# "at the price of one query each"
assert (found["leasequery_queries_sent"] == found.index).all()
