"""Whatever an upstream sends, a parser answers with a result or with one of our errors.

A short run without guidance, and everything that `make fuzz` ever found.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stationmaster.testing import fuzz_seeds, fuzz_targets

INPUTS = Path(__file__).parents[3] / "fuzz/inputs"
FOUND = sorted(path for path in INPUTS.glob("*/*"))
SEEDS = fuzz_seeds.plain_seeds()
for _path in FOUND:
    if _path.name.startswith("signed"):
        SEEDS[_path.parent.name].append(_path.read_bytes())
bounded = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TOKENS = [
    b"<",
    b">",
    b"&",
    b"&a;",
    b"]]>",
    b"<!DOCTYPE a [<!ENTITY a 'b'>]>",
    b"<data type='primary'>",
    b"<location href='../x'/>",
    b"<checksum type='md5'>",
    b"<size package='-1'/>",
    b"\n",
    b"\n\n",
    b"\n ",
    b":",
    b"-1",
    b"9" * 30,
    b"\x00",
    b"\xff",
    b"..",
    "\u0661".encode(),
    "\u00b2".encode(),
    b"inf",
    b"nan",
    b"1e999",
    b"'",
    b'"',
    b"%00",
    b"Date: \n",
    b"SHA256:\n x\n",
]


@st.composite
def mutated(draw: st.DrawFn, seed: bytes) -> bytes:
    """The seed with a few pieces cut out, doubled, or replaced by something spiteful."""
    content = seed
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 12)))
        piece = draw(st.sampled_from(TOKENS) | st.binary(max_size=4) | st.just(content[start : start + 40]))
        content = content[:start] + piece + content[end:]
    return content


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUZZ_KEY", str(INPUTS / "key.asc"))


@pytest.mark.parametrize("name", sorted(fuzz_targets.TARGETS))
def test_no_input_escapes(name: str) -> None:
    assert SEEDS[name]
    attempt_on = fuzz_targets.TARGETS[name]
    attempt_on(SEEDS[name][0])  # the first seed is good

    @bounded
    @given(st.sampled_from(SEEDS[name]).flatmap(mutated))
    def attempt(content: bytes) -> None:
        with contextlib.suppress(*fuzz_targets.OUR_ERRORS):
            attempt_on(content)

    attempt()


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_stays_mended(path: Path) -> None:
    with contextlib.suppress(*fuzz_targets.OUR_ERRORS):
        fuzz_targets.TARGETS[path.parent.name](path.read_bytes())
