"""What a controller is told: a file of JSON comes back as the types that the engine wants, or as one line."""

from __future__ import annotations

import json
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from controllers.settings import Modem, Settings
from lq.concentrator.config import ConcentratorConfig
from lq.wire import DRAFT_03, RFC4388
from topologies import plan

OTHER = IPv4Address("198.19.1.3")
OF_THE_WIRING = {"access_ports": (2,), "circuit_tags": 1}


def saved(path: Path, **engine) -> Path:
    Settings(
        giaddr=plan.GATEWAY, networks=(plan.ACCESS_NETWORK,), servers=(plan.SERVER,),
        uplink_address=plan.UPLINK_CONCENTRATOR, wiring={"uplink": 1, "access": 2},
        record=Path("record.jsonl"), modems=(Modem("02:00:00:00:00:01", (7,)),), engine=engine,
    ).save(path)  # fmt: skip
    return path


def test_without_more_it_behaves_by_default(tmp_path):
    config = Settings.load(saved(tmp_path / "settings.json")).concentrator
    assert config == ConcentratorConfig(plan.GATEWAY, (plan.ACCESS_NETWORK,), (plan.SERVER,), **OF_THE_WIRING)
    assert config.dialect is RFC4388


@pytest.mark.requirement("R4.5-1")
@pytest.mark.requirement("R6.2-8")
def test_everything_that_the_engine_knows_can_be_told(tmp_path):
    told = {
        "dialect": "draft-03", "leasequery_servers": [OTHER], "requested_options": [51, 82], "window": 7,
        "authorities": [("198.18.0.0/16", [plan.SERVER, OTHER])], "retry_first": 2, "admit_reserved": True,
        "ask_by": "mac-upstream", "seed": None,
    }  # fmt: skip
    config = Settings.load(saved(tmp_path / "settings.json", **told)).concentrator
    assert config == ConcentratorConfig(
        plan.GATEWAY, (plan.ACCESS_NETWORK,), (plan.SERVER,), dialect=DRAFT_03, leasequery_servers=(OTHER,),
        requested_options=(51, 82), window=7, retry_first=2, admit_reserved=True, ask_by="mac-upstream",
        authorities=((IPv4Network("198.18.0.0/16"), (plan.SERVER, OTHER)),), **OF_THE_WIRING,
    )  # fmt: skip
    assert config.queried_servers == (OTHER,)


WRONG = [
    ({"dialect": "draft-3"}, "engine.dialect: unknown dialect 'draft-3': use one of draft-03, rfc4388"),
    ({"dialect": ["draft-03"]}, "engine.dialect: "),
    ({"leasequery_servers": ["198.19.1"]}, "engine.leasequery_servers: "),
    ({"leasequery_servers": 7}, "engine.leasequery_servers: "),
    ({"authorities": [["198.18.0.0/33", ["198.19.1.2"]]]}, "engine.authorities: "),
    ({"authorities": [["198.18.0.0/16"]]}, "engine.authorities: "),
    ({"requested_options": ["51"]}, "engine.requested_options: a value of type int is wanted"),
    ({"window": "many"}, "engine.window: a value of type int is wanted (got 'many')"),
    ({"window": True}, "engine.window: a value of type int is wanted (got True)"),
    ({"window": 0}, "window is 0: use at least 1"),
    ({"negative_cache": 1}, "engine.negative_cache: a value of type bool is wanted (got 1)"),
    ({"windows": 7}, "engine.windows: there is no such field"),
    ({"giaddr": "198.18.0.1"}, "engine.giaddr: there is no such field"),
]


@pytest.mark.parametrize(("engine", "words"), WRONG)
def test_what_it_cannot_be_told_is_one_line(tmp_path, engine, words):
    with pytest.raises(ValueError) as caught:
        Settings.load(saved(tmp_path / "settings.json", **engine))
    line = str(caught.value)
    assert line.startswith(words)
    assert "\n" not in line


def test_the_controller_says_it_in_one_line_and_ends(tmp_path):
    path = saved(tmp_path / "settings.json", dialect="rfc2131")
    assert json.loads(path.read_text())["engine"] == {"dialect": "rfc2131"}
    command = [sys.executable, "-m", "controllers", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    expected = "engine.dialect: unknown dialect 'rfc2131': use one of draft-03, rfc4388 (got 'rfc2131')"
    assert (done.returncode, done.stderr) == (2, f"{path}: {expected}\n")
