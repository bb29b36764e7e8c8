"""A broadband access network in a box, to study DHCP leasequery."""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers take it; `typing` itself would make the command line start later
if TYPE_CHECKING:
    from lq.live import Lab

__version__ = "0.1.0"
__all__ = ["Lab", "__version__"]


def __getattr__(name: str) -> object:
    """Import what is offered here when it is first used: the command line starts sooner without it."""
    if name == "Lab":
        from lq.live import Lab

        return Lab
    raise AttributeError(f"module 'lq' has no attribute {name!r}")
