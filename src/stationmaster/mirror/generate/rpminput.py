"""Reading RPM generations: their packages, module documents and groups, in one pass over what decides the choice."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from stationmaster.mirror import failures, fileref, repomd, unpack
from stationmaster.mirror.generate import comps, draft, modules, packages, selection, xmlparts

_TEXTS = ("name", "arch", "checksum")
_ZCHUNK = "_zck"
_ATTRIBUTES = ("version", "checksum", "location")


class RpmInput:
    """One RPM generation: data files by type."""

    def __init__(self, source: draft.Input) -> None:
        self.number = source.number
        self.name = source.name
        self.timestamp = source.header.timestamp
        self._tree = source.tree
        self.root_document = (source.tree / "repodata/repomd.xml").read_bytes()
        self.data = {one.type: one for one in repomd.parse_repomd(self.root_document).data}
        for kind in [kind for kind in self.data if kind.endswith(_ZCHUNK)]:
            self.data.setdefault(kind.removesuffix(_ZCHUNK), self.data[kind])
        if "primary" not in self.data:
            raise failures.MetadataInvalidError(
                f"{self.name} names no primary metadata, so nothing can be chosen from it."
            )

    def what(self, kind: str) -> str:
        """How messages name a data file."""
        return f"{self.name}, {kind}"

    def blocks(self, kind: str) -> Iterator[bytes]:
        """The open content of a data file."""
        one = self.data[kind]
        path = fileref.normal_path(one.href, what=self.what(kind))
        return unpack.unpacked_blocks(self._tree / path, stated_size=one.open_size)

    def raw(self, kind: str) -> bytes:
        """The bytes of a small data file as they lie there."""
        return (self._tree / fileref.normal_path(self.data[kind].href, what=self.what(kind))).read_bytes()

    def read_packages(self) -> Iterator[packages.Package]:
        """What primary.xml names, in its order."""
        what = self.what("primary")
        parts = xmlparts.read_parts(self.blocks("primary"), "package", what=what, texts=_TEXTS, attributes=_ATTRIBUTES)
        for part in parts:
            version, checksum = part.attributes.get("version", {}), part.attributes.get("checksum", {})
            href = part.attributes.get("location", {}).get("href", "")
            digest = fileref.parse_checksum(checksum.get("type", ""), part.texts.get("checksum", ""), what=what)
            yield packages.Package(
                input=self.number,
                name=part.texts.get("name", ""),
                epoch=version.get("epoch") or "0",
                version=version.get("ver", ""),
                release=version.get("rel", "") or "0",
                architecture=part.texts.get("arch", ""),
                checksum=str(digest),
                path=fileref.normal_path(href, what=what),
            )


@dataclasses.dataclass(frozen=True)
class Documents:
    """All module documents of all inputs, numbered through."""

    found: tuple[modules.Document, ...]

    @property
    def streams(self) -> tuple[selection.Stream, ...]:
        """Those that are streams."""
        return tuple(one.stream for one in self.found if one.stream is not None)


def read_documents(inputs: Iterable[RpmInput]) -> Documents:
    """What each module document is about."""
    return Documents(tuple(
        modules.read_document(number, text, what=what) for number, what, text in numbered_documents(inputs)
    ))  # fmt: skip


def numbered_documents(inputs: Iterable[RpmInput]) -> Iterator[tuple[int, str, str]]:
    """The texts of all module documents with their numbers, the same in each pass."""
    number = 0
    for source in inputs:
        if "modules" not in source.data:
            continue
        what = source.what("modules")
        for text in modules.split_documents(source.blocks("modules"), what=what):
            yield number, what, text
            number += 1


def group_documents(inputs: Iterable[RpmInput]) -> Iterator[tuple[str, bytes]]:
    """The groups of each input that has some."""
    for source in inputs:
        kind = next((one for one in ("group", "group_gz", "group_xz", "group_zst") if one in source.data), None)
        if kind is not None:
            yield source.what(kind), comps.read_whole(source.blocks(kind), what=source.what(kind))


def read_groups(inputs: Iterable[RpmInput]) -> dict[str, frozenset[str]]:
    """Package names by group id, over all inputs."""
    merged: dict[str, frozenset[str]] = {}
    for what, content in group_documents(inputs):
        for identity, names in comps.read_groups(content, what=what).items():
            merged[identity] = merged.get(identity, frozenset()) | names
    return merged
