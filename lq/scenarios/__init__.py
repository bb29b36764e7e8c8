"""What each scenario does, in order, and with what."""
