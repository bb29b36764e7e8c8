"""A broadband access network in a box, to study DHCP leasequery."""

__version__ = "0.1.0"
