"""The texts for readers as a contract: links lead somewhere, and what is to be typed exists."""

from __future__ import annotations

import itertools
import json
import re
import shlex

import pytest
import typer
import yaml

import lq
from lq import cli, live
from lq.errors import BadInput
from lq.experiments.spec import SCENARIOS, fields, load, parse_setting
from lq.live.node import Host
from lq.server import config
from tests.layers import FLOORS
from tests.support import ROOT

# What `lq gallery` writes may be missing in a tree that is being worked on.
MADE = re.compile(r"docs/(gallery/\w+\.svg|reports/[\w-]+\.html)")
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
TEXTS = {
    **{
        str(path.relative_to(ROOT)): path.read_text()
        for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    },
    **{
        str(path.relative_to(ROOT)): "\n\n".join(
            "".join(cell["source"])
            for cell in json.loads(path.read_text())["cells"]
            if cell["cell_type"] == "markdown"
        )
        for path in NOTEBOOKS
    },
}
BLOCK = re.compile(r"^ *```\w*\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
COMMANDS = typer.main.get_command(cli.app).commands
KEYS = fields()
GROUPS = {key.partition(".")[0] for key in KEYS if "." in key}
FILES = (".parquet", ".pcap", ".yaml", ".sqlite")


def slug(heading):
    """Return the anchor of a heading, as the sites that show Markdown make it."""
    return re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).lower()).replace(" ", "-")


def anchors(text):
    return {slug(found[1]) for found in re.finditer(r"^#+ (.*)$", BLOCK.sub("", text), re.MULTILINE)}


def spans(text):
    """Return what stands as code in running text."""
    return re.findall(r"`([^`\n]+)`", BLOCK.sub("", text))


def lines(text):
    """Return the lines of commands: of the blocks, and what stands as code in running text."""
    blocks = "\n".join(found[1] for found in BLOCK.finditer(text)).replace("\\\n", " ")
    return [*blocks.splitlines(), *spans(text)]


def typed():
    """Return what is to be typed: text, line, and the words from the command's name on."""
    for name, text in TEXTS.items():
        for line in lines(text):
            if found := re.match(r"\s*(?:setup/kernel\.sh )?(?:sudo )?(?:\.venv/bin/)?lq +([a-z].*)", line):
                yield name, line, shlex.split(found[1], comments=True)


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name):
    text = TEXTS[name]
    for where in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", text)):
        if where.startswith("https://"):
            continue
        file, _, anchor = where.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        relative = str(path.resolve().relative_to(ROOT))
        assert path.exists() or MADE.fullmatch(relative), f"{name}: {where}"
        if anchor:
            assert anchor in anchors(TEXTS[relative]), f"{name}: {where}"


@pytest.mark.parametrize("name", [name for name in TEXTS if name.endswith(".md")])
def test_lines_are_wrapped(name):
    for line in TEXTS[name].splitlines():
        assert len(line) <= 120 or line.startswith(("|", "![")), f"{name}: {line}"


def test_every_command_that_is_to_be_typed_exists_with_its_options():
    seen = set()
    for name, line, (command, *words) in typed():
        assert command in {*COMMANDS, "COMMAND"}, f"{name}: {line}"
        if command == "COMMAND":
            continue
        seen.add(command)
        parameters = COMMANDS[command].params
        options = {option for each in parameters for option in (*each.opts, *each.secondary_opts)}
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in {*options, "--help"}, f"{name}: {line}"
    assert seen == set(COMMANDS)


def test_every_setting_that_is_to_be_typed_is_one():
    tried = 0
    for name, line, (command, *words) in typed():
        if command not in ("run", "sweep") or not words or words[0] not in SCENARIOS:
            continue
        given = [after for word, after in itertools.pairwise(words) if word in ("--set", "--grid")]
        chosen = {}
        for text in given:
            key, value = text.split("=")
            tried += 1
            for each in value.split(","):
                chosen.update([parse_setting(f"{key}={each}")])
        try:
            load(words[0], chosen)
        except BadInput as error:
            pytest.fail(f"{name}: {line}: {error}")
    assert tried > 10


def test_every_setting_that_is_named_is_one():
    named = 0
    for name, text in TEXTS.items():
        for span in spans(text):
            found = re.fullmatch(r"(?:--set )?([a-z]+\.[a-z_0-9]+)(?:=(\S+))?", span)
            if found is None or span.endswith(FILES) or found[1].partition(".")[0] not in GROUPS:
                continue
            named += 1
            assert found[1] in KEYS, f"{name}: {span}"
    assert named > 50


def test_every_target_of_make_exists():
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name, text in TEXTS.items():
        for line in lines(text):
            for target in re.findall(r"(?:^|')make ([a-z][a-z-]*)", line):
                assert target in targets, f"{name}: {line}"


def test_every_file_of_the_tree_that_is_named_exists():
    for name, text in TEXTS.items():
        for span in spans(text):
            if re.fullmatch(r"(lq|tests|topologies|controllers|setup|docs|notebooks)/[\w./-]+", span):
                assert (ROOT / span).exists() or "TARGET" in span or "NAME" in span, f"{name}: {span}"


def test_every_method_of_the_lab_that_is_named_exists():
    for name, text in TEXTS.items():
        for span in re.findall(r"(?:dsl|lab)\.(\w+)\(", text):
            assert hasattr(live.Lab, span), f"{name}: lab.{span}"
        for span in re.findall(r'lab\["\w+"\]\.(\w+)\(', text):
            assert hasattr(Host, span), f"{name}: lab[...].{span}"


def test_the_table_of_floors_is_the_one_that_is_tested():
    table = re.findall(r"^\| (top|\d|ground) \| (.*) \|$", TEXTS["CONTRIBUTING.md"], re.MULTILINE)
    told = [set(re.findall(r"`([\w.]+)`", packages)) for _, packages in reversed(table)]
    assert told == FLOORS


def test_the_tree_is_the_one_that_there_is():
    tree = next(block for block in BLOCK.findall(TEXTS["CONTRIBUTING.md"]) if block.startswith("lq/\n"))
    tops = set(re.findall(r"^(\w+)/", tree, re.MULTILINE))
    assert all((ROOT / top).is_dir() for top in tops)
    packages = {path.parent.name for path in (ROOT / "lq").glob("*/__init__.py")}
    assert set(re.findall(r"^  (\w+)/", tree, re.MULTILINE)) == packages


def test_every_command_is_in_the_table_of_commands():
    table = re.findall(r"^\| (`lq [^|]*) \|", TEXTS["docs/commands.md"], re.MULTILINE)
    assert {command for cell in table for command in re.findall(r"`lq ([a-z]+)", cell)} >= set(COMMANDS)


def test_the_pages_programs_find_what_they_import():
    pages = "\n".join(text for name, text in TEXTS.items() if name.startswith("docs/"))
    imports = re.findall(r"^(?:from|import) lq.*$", pages, re.MULTILINE)
    assert len(imports) > 3
    for line in imports:
        exec(line, {})


def test_the_documented_configuration_is_one(tmp_path):
    found = re.search(r"```yaml\n(# server.yaml\n.*?)```", TEXTS["docs/server.md"], re.DOTALL)
    (tmp_path / "server.yaml").write_text(found[1])
    read = config.load(tmp_path / "server.yaml")
    assert (len(read.subnets), len(read.shared_networks), len(read.reservations)) == (1, 1, 2)


def test_every_key_of_the_server_is_in_the_table_of_keys():
    section = TEXTS["docs/server.md"].partition("## All keys")[2].partition("## Whom it believes")[0]
    told = {key for cell in re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE) for key in spans(cell)}
    own = config.ServerConfig.model_fields
    assert told == {
        *(key for key in own if key != "leasequery"),
        *(f"leasequery.{key}" for key in config.Leasequery.model_fields),
    }


def test_the_readme_is_short_and_leads_to_every_page():
    assert len(TEXTS["README.md"].splitlines()) <= 130
    links = set(re.findall(r"\]\((docs/[^)#\s]+)", TEXTS["README.md"]))
    pages = {str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md")}
    further = "".join(TEXTS.get(name, "") for name in links)
    elsewhere = {page for page in pages if f"]({page.removeprefix('docs/')}" in further}
    assert pages <= links | elsewhere


def test_every_scenario_has_its_page_and_no_page_is_about_nothing():
    pages = {path.stem: path.read_text() for path in (ROOT / "docs/scenarios").glob("*.md")}
    assert set(pages) == set(SCENARIOS)
    for name, text in pages.items():
        assert text.startswith(f"# {name}\n\n**")
        assert re.search(rf"^lq run {name}\b", text, re.MULTILINE), f"{name}: a command to begin with"
        for heading in ("What is played", "Settings that matter", "What comes out"):
            assert f"\n## {heading}\n" in text, f"{name}: {heading}"


def test_there_is_one_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["authors"] == [{"name": "The leasequery-lab developers"}]
    assert {"message", "title", "license"} <= set(citation)
    assert citation["version"] == lq.__version__
    assert re.findall(r"^## (\d[\d.]*)$", TEXTS["CHANGELOG.md"], re.MULTILINE)[0] == lq.__version__
    assert lq.__version__ not in (ROOT / "pyproject.toml").read_text()
