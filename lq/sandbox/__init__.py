"""The sealed lab: namespaces, a private switch, and the channel that leads in and out of it."""
