"""What several tests of the server share."""

from __future__ import annotations

import pytest

from .daemon import Relay


@pytest.fixture
def relay():
    relay = Relay()
    yield relay
    relay.socket.close()
