"""Virtual time: the same engine without a network, as fast as it computes."""
