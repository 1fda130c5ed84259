"""What the documents say exists: the commands and the tests that they name."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from stationmaster.cli import main

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_COMMAND = re.compile(r"\bstationmaster ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)(?=[ `\n.,;:)]|$)((?: +--[a-z-]+)?)")
_TEST = re.compile(r"`([a-z_/]+\.py)::(\w+)`")


def exists(words: list[str]) -> bool:
    found: click.Command = main.cli
    for word in words:
        if not isinstance(found, click.Group):
            return True  # an argument
        deeper = found.get_command(click.Context(found), word)
        if deeper is None:
            return False
        found = deeper
    return True


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_that_are_named_exist(document: Path) -> None:
    quoted = re.findall(r"`([^`]+)`|^ {4,}(.+)$", document.read_text(), re.MULTILINE)
    named = {match[1] for pair in quoted for match in _COMMAND.finditer(" ".join(pair))}
    assert {words for words in named if not exists(words.split())} == set()


def test_each_statement_on_security_names_a_test_that_exists() -> None:
    named = _TEST.findall((ROOT / "docs" / "security.md").read_text())
    assert len(named) > 20
    assert [pair for pair in named if f"def {pair[1]}(" not in (ROOT / "tests" / pair[0]).read_text()] == []
