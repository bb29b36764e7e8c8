"""The page on containers says what the doctor says, and the image is made by the project's own set-up."""

from __future__ import annotations

import re

from lq import doctor
from tests import support


def test_the_page_names_the_options_that_the_doctor_names():
    page = (support.ROOT / "docs/containers.md").read_text()
    fixes = [doctor.UNMASK, doctor.FILTER]
    options = [option for fix in fixes for option in re.findall(r"(?:seccomp|systempaths|unmask)=\w+", fix)]
    assert len(options) == 3
    assert [option for option in options if option not in page] == []


def test_the_image_is_set_up_as_any_machine_is_and_runs_as_an_ordinary_user():
    lines = (support.ROOT / "Containerfile").read_text().splitlines()
    assert any("make setup" in line for line in lines)
    assert lines.index("USER student") < next(n for n, line in enumerate(lines) if line.startswith("CMD"))


def test_nothing_that_is_made_here_goes_into_the_image():
    """Docker and Podman both read this file's name. Modes, too, may be of here: of umask 077."""
    kept_out = (support.ROOT / ".dockerignore").read_text().split()
    made = {line.strip("/") for line in (support.ROOT / ".gitignore").read_text().split()}
    rules = {"__pycache__": "**/__pycache__", "*.pyc": "**/__pycache__"}
    for name in sorted(made - {".ipynb_checkpoints", "uv.lock"}):
        wanted = rules.get(name, ".*_cache" if name.endswith("_cache") else name)
        assert wanted in kept_out, name
    assert ".git" in kept_out
    assert "chmod -R a+rX . && make setup" in (support.ROOT / "Containerfile").read_text()
