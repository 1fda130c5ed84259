# ruff: noqa: S101 - what must hold is asserted
"""What is fuzzed of generated sources: what is cut out stands by itself, and what is left names only what is kept."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterator

from stationmaster.mirror.generate import advisories, comps, debinput, filters, modules, recipe, versions, xmlparts
from stationmaster.model import errors
from stationmaster.testing import generated_repositories as repositories


def fuzz_package_parts(content: bytes) -> None:
    """primary, filelists and other: parts are the same however they come, and each is a whole element."""
    found = list(xmlparts.read_parts([content], "package", what="t", texts=["name"], attributes=["version"]))
    again = xmlparts.read_parts(_in_blocks(content), "package", what="t", texts=["name"], attributes=["version"])
    assert list(again) == found
    for part in found:
        assert part.raw in content
        assert xmlparts.read_tree(part.raw, what="t").end == len(part.raw)


def fuzz_groups(content: bytes) -> None:
    """comps.xml: what is left lists only what is kept, and all of it."""
    groups = comps.read_groups(content, what="t")
    names = frozenset(name for members in groups.values() for name in members if _is_kept(name))
    left = comps.restrict([content, content], names, what="t")
    if left is not None:
        listed = {name for members in comps.read_groups(left, what="t").values() for name in members}
        assert listed <= names


def fuzz_advisories(content: bytes) -> None:
    """updateinfo.xml: what is left lists only what is kept, and something."""
    for part in xmlparts.read_parts([content], advisories.ELEMENT, what="t"):
        left = advisories.restrict_advisory(part.raw, _is_kept, what="t")
        if left is None:
            continue
        assert advisories.restrict_advisory(left, _is_kept, what="t") == left
        assert advisories.restrict_advisory(left, lambda identity: not _is_kept(identity), what="t") is None


def fuzz_modules(content: bytes) -> None:
    """modules.yaml: a restricted stream lists only what is kept, and is about the same stream."""
    for number, text in enumerate(modules.split_documents(_in_blocks(content), what="t")):
        with contextlib.suppress(errors.StationmasterError):
            modules.successor_of(text, what="t")
            modules.restrict_defaults(text, frozenset(["1"]), what="t")
        document = modules.read_document(number, text, what="t")
        if document.stream is None:
            continue
        left = modules.read_document(number, modules.restrict_stream(text, _is_kept, what="t"), what="t")
        assert left.stream is not None
        assert (left.module, left.stream_name) == (document.module, document.stream_name)
        wanted = [one for one in document.stream.artifacts if modules.is_source(one) or _is_kept(one)]
        assert list(left.stream.artifacts) == wanted


def fuzz_choices(content: bytes) -> None:
    """Filters, package lists and manifests as people write them; versions as packages have them."""
    text = content.decode("utf-8", "replace")
    one, _, other = text.partition("\n")
    for compare in (versions.compare_rpm, versions.compare_deb):
        assert compare(one, other) == -compare(other, one)
    recipe.parse_list(text)
    list(debinput.read_stanzas(_in_blocks(content), what="t"))
    with contextlib.suppress(errors.StationmasterError):
        assert filters.parse_filter(str(filters.parse_filter(text))) == filters.parse_filter(text)
    recipe.parse_manifest(text)


def seeds() -> dict[str, list[bytes]]:
    """A good input or two for each."""
    packages = [repositories.Rpm("a"), repositories.Rpm("b", "2"), repositories.Rpm("c", base="http://h/")]
    streams = [repositories.Stream("m", "1.10", packages[:2]), repositories.Stream("m", "2", packages[2:])]
    documents = "".join(f"---\n{repositories.stream_document(one)}...\n" for one in streams)
    return {
        "package_parts": [repositories.primary_xml(packages)],
        "groups": [repositories.comps_xml({"g": ["a", "b"], "h": ["c", "d"]})],
        "advisories": [repositories.updateinfo_xml({"A": packages, "B": packages[:1]})],
        "modules": [documents.encode(), b"document: modulemd-defaults\ndata: {module: m, profiles: {'1': [c]}}\n"],
        "choices": [b"a-0:1-1.noarch@sha256:" + b"0" * 64, b"openssl >= 3.0 < 3.2", b"module:a:1/p", b"1.0~rc1\n1.0^x"],
    }


def _is_kept(name: str) -> bool:
    return zlib.crc32(name.encode("utf-8", "surrogatepass")) % 2 == 0


def _in_blocks(content: bytes) -> Iterator[bytes]:
    """Cut where the content itself says, since where a block ends must not matter."""
    cut = content[0] if content else 0
    yield content[:cut]
    yield content[cut:]


TARGETS: dict[str, Callable[[bytes], None]] = {
    name.removeprefix("fuzz_"): value for name, value in list(globals().items()) if name.startswith("fuzz_")
}
