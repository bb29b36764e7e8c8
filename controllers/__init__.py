"""The OpenFlow face of the access concentrator: `lq.concentrator` on a controller framework."""
