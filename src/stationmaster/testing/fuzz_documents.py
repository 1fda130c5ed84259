# ruff: noqa: S101 - what must hold is asserted
"""Fuzz targets beside the chain of digests: lists of addresses, what generated sources read, files of operators."""

from __future__ import annotations

import contextlib
import tempfile  # noqa: TID251 - a place for the files that some parsers want
from collections.abc import Callable
from pathlib import Path

from stationmaster.mirror import access, address_list, rpmfile, source, trust
from stationmaster.mirror.generate import advisories, comps, filters, modules, recipe, xmlparts
from stationmaster.model import errors

_SCRATCH: list[Path] = []


def scratch() -> Path:
    """A private directory in memory."""
    if not _SCRATCH:
        memory = Path("/dev/shm")  # noqa: S108 - a private directory is made in it
        _SCRATCH.append(Path(tempfile.mkdtemp(prefix="sm-fuzz-", dir=memory if memory.is_dir() else None)))
    return _SCRATCH[0]


def fuzz_mirrorlist(content: bytes) -> None:
    """A mirror list: addresses of the web, whatever it says."""
    for address in address_list.parse_mirrorlist(content):
        assert address.lower().startswith(("http://", "https://"))
        source.RpmSource("s", address)


def fuzz_metalink(content: bytes) -> None:
    """A metalink."""
    for address in address_list.parse_metalink(content, what="metalink").addresses:
        assert address.lower().startswith(("http://", "https://"))
        source.RpmSource("s", address)


def fuzz_credentials(content: bytes) -> None:
    """A credentials file, and credentials in an address."""
    text = content.decode("utf-8", "replace")
    with contextlib.suppress(errors.StationmasterError):
        access.parse_credentials(text, what="file")
    plain, _ = access.split_userinfo(f"http://{text}")
    assert "@" not in plain.partition("://")[2].partition("/")[0]


def fuzz_comps(content: bytes) -> None:
    """Groups: what is left of them is well-formed again."""
    left = comps.restrict([content], frozenset({"a", "lab"}), what="comps")
    if left is not None:
        comps.read_groups(left, what="comps")


def fuzz_updateinfo(content: bytes) -> None:
    """Advisories, each by itself; what is left of one is well-formed again."""
    for part in xmlparts.read_parts([content], advisories.ELEMENT, what="updateinfo"):
        left = advisories.restrict_advisory(part.raw, lambda one: len(one) % 2 == 0, what="updateinfo")
        if left is not None:
            xmlparts.read_tree(left, what="updateinfo")


def fuzz_modules(content: bytes) -> None:
    """Module documents: what is left of one is a document about the same."""
    for number, text in enumerate(modules.split_documents([content], what="modules")):
        found = modules.read_document(number, text, what="modules")
        if found.stream is not None:
            left = modules.restrict_stream(text, lambda one: len(one) % 2 == 0, what="modules")
            assert modules.read_document(number, left, what="modules").module == found.module


def fuzz_filters(content: bytes) -> None:
    """Filters, package lists and manifests as people write them."""
    text = content.decode("utf-8", "replace")
    for parse in (filters.parse_filter, recipe.parse_list, recipe.parse_manifest, recipe.parse_input):
        with contextlib.suppress(errors.StationmasterError):
            parse(text)


def fuzz_rpm_file(content: bytes) -> None:
    """The headers and signatures of a package file: nothing that is not signed by the key passes."""
    path = scratch() / "package.rpm"
    path.write_bytes(content)
    rpmfile.require_signed(path, trust.Keyring(()))
    raise AssertionError("an unsigned package passed")


TARGETS: dict[str, Callable[[bytes], None]] = {
    name.removeprefix("fuzz_"): value for name, value in list(globals().items()) if name.startswith("fuzz_")
}
