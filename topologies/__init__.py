"""Mininet topologies of the draft's figures, and the emulated devices that they are made of."""
