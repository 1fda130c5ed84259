"""Writing RPM metadata for a choice: primary, filelists and other in upstream's own words, the rest restricted to it.

Type by type: package data (one element a package) is passed through as it stands; modules, groups and advisories are
restricted; what repeats these in another form is left out; anything else might name what is not kept, and is left out
with a warning.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax import saxutils

from stationmaster.mirror import fileref, repomd, upstream
from stationmaster.mirror.generate import (
    advisories,
    comps,
    draft,
    modulewriter,
    packages,
    packed,
    rpminput,
    selection,
    signing,
    xmlparts,
)

_REST_SUFFIXES = ("_db", "_zck", "_gz", "_xz", "_zst")
_REST = frozenset({"filelists-ext", "filelists_ext"})
_HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclasses.dataclass(frozen=True)
class _Data:
    """A data file that was written: its type, its path in the tree, where it lies, what it is."""

    kind: str
    path: str
    place: Path
    written: packed.Written


class RpmWriter:
    """Writes one draft."""

    def __init__(
        self,
        order: draft.Order,
        inputs: Sequence[rpminput.RpmInput],
        offered: Sequence[packages.Package],
        documents: rpminput.Documents,
        chosen: selection.Selection,
    ) -> None:
        self._order = order
        self._inputs = inputs
        self._offered = offered
        self._documents = documents
        self._chosen = chosen
        self._identities = frozenset(offered[index].identity for index in chosen.kept)
        self._warnings: list[str] = []

    def write(self, signer: signing.Signer) -> draft.Draft:
        """Write everything, root documents last."""
        written = [self._package_data("primary")]
        kinds = {kind for source in self._inputs for kind in source.data}
        written += [self._package_data(kind) for kind in sorted(kinds) if _is_package_data(kind) and kind != "primary"]
        written += filter(None, (self._modules(), self._groups(), self._advisories(), self._product()))
        self._warn_of_rest(kinds - {one.kind for one in written})
        return self._draft(written, signer)

    def _package_data(self, kind: str) -> _Data:
        """One element for each kept package, as it stands; primary by place, others by the package's checksum."""
        holders = [source for source in self._inputs if kind in source.data]
        roots = [xmlparts.read_root(source.blocks(kind), what=source.what(kind)) for source in holders]
        name = roots[0][0]
        attributes = xmlparts.merged_namespaces([one for _, one in roots], what=kind)
        attributes["packages"] = str(len(self._chosen.kept))
        place = self._order.directory / f"{kind}.xml.gz"
        with packed.GzipWriter(self._order.files, place) as writer:
            writer.add(_HEAD + xmlparts.start_tag(name, attributes) + b"\n")
            parts = self._primary_parts() if kind == "primary" else self._further_parts(kind, holders)
            for part in parts:
                writer.add(part + b"\n")
            count = writer.count - 1
            writer.add(f"</{name}>\n".encode())
        if count != len(self._chosen.kept):
            self._warnings.append(f"{kind} tells of {count} of the {len(self._chosen.kept)} packages that are kept.")
        return self._data(kind, place, writer.written, "xml.gz")

    def _primary_parts(self) -> Iterator[bytes]:
        kept = set(self._chosen.kept)
        moved = packages.relocations(self._offered, self._chosen.kept, [source.name for source in self._inputs])
        number = itertools.count()
        for source in self._inputs:
            what = source.what("primary")
            for part in xmlparts.read_parts(source.blocks("primary"), "package", what=what, attributes=["location"]):
                index = next(number)
                if index not in kept:
                    continue
                is_foreign = "xml:base" in part.attributes.get("location", {})  # held here nevertheless (ADR 9)
                if index in moved or is_foreign:
                    yield _at(part.raw, moved.get(index, self._offered[index].path), what)
                else:
                    yield part.raw

    def _further_parts(self, kind: str, holders: Sequence[rpminput.RpmInput]) -> Iterator[bytes]:
        wanted: dict[int, set[str]] = {source.number: set() for source in self._inputs}
        for index in self._chosen.kept:
            package = self._offered[index]
            wanted[package.input].add(package.checksum.partition(":")[2])
        for source in holders:
            for part in xmlparts.read_parts(source.blocks(kind), "package", what=source.what(kind)):
                if part.own.get("pkgid", "").lower() in wanted[source.number]:
                    yield part.raw

    def _modules(self) -> _Data | None:
        writer = modulewriter.ModuleWriter(self._documents, self._chosen, self._identities)
        place = self._order.directory / "modules.yaml.gz"
        with packed.GzipWriter(self._order.files, place) as target:
            for document in writer.documents(self._inputs):
                target.add(document)
        self._warnings += writer.warnings
        return self._data("modules", place, target.written, "yaml.gz") if target.count else None

    def _groups(self) -> _Data | None:
        found = list(rpminput.group_documents(self._inputs))
        names = frozenset(self._offered[index].name for index in self._chosen.kept)
        content = comps.restrict([one for _, one in found], names, what="the groups") if found else None
        return self._plain("group", content, "comps.xml") if content is not None else None

    def _advisories(self) -> _Data | None:
        place = self._order.directory / "updateinfo.xml.gz"
        seen: set[bytes] = set()
        with packed.GzipWriter(self._order.files, place) as writer:
            for source in self._inputs:
                if "updateinfo" not in source.data:
                    continue
                what = source.what("updateinfo")
                for part in xmlparts.read_parts(source.blocks("updateinfo"), advisories.ELEMENT, what=what):
                    left = advisories.restrict_advisory(part.raw, self._identities.__contains__, what=what)
                    if left is not None and (digest := hashlib.sha256(left).digest()) not in seen:
                        seen.add(digest)
                        writer.add((b"" if writer.count else _HEAD + b"<updates>\n") + left + b"\n")
            if seen:
                writer.add(b"</updates>\n")
        return self._data("updateinfo", place, writer.written, "xml.gz") if seen else None

    def _product(self) -> _Data | None:
        """The product certificate, which names no package, of the first input that has one."""
        source = next((one for one in self._inputs if "productid" in one.data), None)
        if source is None:
            return None
        _, dot, suffix = source.data["productid"].href.rpartition("productid")[2].rpartition(".")
        return self._plain("productid", source.raw("productid"), f"productid{dot}{suffix}")

    def _warn_of_rest(self, kinds: set[str]) -> None:
        known = {"modules", "group", "updateinfo", *_REST}
        for kind in sorted(kinds - known):
            if not kind.endswith(_REST_SUFFIXES):
                self._warnings.append(
                    f"Data of the type {kind} is left out: it may tell of packages that are not kept."
                )

    def _plain(self, kind: str, content: bytes, name: str) -> _Data:
        place = self._order.directory / name
        self._order.files.write_atomic(place, content, durable=False)
        digest = hashlib.sha256(content).hexdigest()
        written = packed.Written(digest, len(content), digest, len(content))
        return _Data(kind, f"repodata/{digest}-{name}", place, written)

    def _data(self, kind: str, place: Path, written: packed.Written, suffix: str) -> _Data:
        return _Data(kind, f"repodata/{written.sha256}-{kind}.{suffix}", place, written)

    def _draft(self, written: Sequence[_Data], signer: signing.Signer) -> draft.Draft:
        content = _repomd(written, self._order.made_at, self._tags())
        signature = signer.sign_detached(content, made=self._order.made_at)
        document = upstream.RootDocument("repodata/repomd.xml", content)
        signed = upstream.RootDocument("repodata/repomd.xml.asc", signature)
        key = upstream.RootDocument("repodata/repomd.xml.key", signer.certificate)
        root = upstream.Root(
            base="",
            generation=upstream.generation_id((document, signed)),
            timestamp=self._order.made_at,
            documents=(document, signed, key),
            metadata=repomd.metadata_refs(repomd.parse_repomd(content)),
            validators={},
        )
        made = {one.path: one.place for one in written}
        return draft.Draft("rpm", root, made, ((written[0].path, repomd.parse_primary),), tuple(self._warnings))

    def _tags(self) -> bytes:
        """What the first input says of its content and distribution, as it stands."""
        source = self._inputs[0]
        root = xmlparts.read_tree(source.root_document, what=source.what("repomd"))
        found = next(root.named("tags"), None)
        return b"" if found is None else b"  " + source.root_document[found.begin : found.end] + b"\n"


def _at(raw: bytes, path: str, what: str) -> bytes:
    """The package with another location."""
    location = next(xmlparts.read_tree(raw, what=what).named("location"))
    tag = f"<location href={saxutils.quoteattr(path)}/>".encode()
    return raw[: location.begin] + tag + raw[location.end :]


def _is_package_data(kind: str) -> bool:
    return kind in ("primary", "filelists", "other") or kind == "susedata" or kind.startswith("susedata.")


def _repomd(written: Sequence[_Data], made_at: int, tags: bytes) -> bytes:
    lines = [
        f'  <data type="{one.kind}">\n'
        f'    <checksum type="sha256">{one.written.sha256}</checksum>\n'
        + (f'    <open-checksum type="sha256">{one.written.open_sha256}</open-checksum>\n' if _is_packed(one) else "")
        + f'    <location href="{fileref.quoted_path(one.path)}"/>\n    <timestamp>{made_at}</timestamp>\n'
        f"    <size>{one.written.size}</size>\n"
        + (f"    <open-size>{one.written.open_size}</open-size>\n" if _is_packed(one) else "")
        + "  </data>\n"
        for one in written
    ]
    namespaces = {"xmlns": "http://linux.duke.edu/metadata/repo", "xmlns:rpm": "http://linux.duke.edu/metadata/rpm"}
    head = _HEAD + xmlparts.start_tag("repomd", namespaces) + f"\n  <revision>{made_at}</revision>\n".encode()
    return head + tags + "".join(lines).encode() + b"</repomd>\n"


def _is_packed(one: _Data) -> bool:
    return one.path.endswith(".gz")
