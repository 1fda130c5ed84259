"""Writing DEB metadata for a choice: kept stanzas as they stand, a Release per suite, signed inside and beside.

Suites, components and architectures stay as the inputs have them. Contents, DEP-11 and command lists tell of packages
that are not kept, and are left out with a warning, as are ``Valid-Until`` and ``Signed-By``: the first would end a
frozen version, the second names the upstream's key.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from email import utils
from pathlib import Path

from stationmaster.mirror import debindex, fileref, release, upstream
from stationmaster.mirror.generate import debinput, draft, packages, packed, selection, signing

_KEPT_FIELDS = ("Origin", "Label", "Suite", "Version", "Codename", "Changelogs", "NotAutomatic", "ButAutomaticUpgrades",
                "Components", "Architectures", "No-Support-for-Architecture-all", "Description")  # fmt: skip
_FILENAME = re.compile(rb"^(Filename:[ \t]*).*$", re.MULTILINE | re.IGNORECASE)
_DIRECTORY = re.compile(rb"^(Directory:[ \t]*).*$", re.MULTILINE | re.IGNORECASE)
_PARSERS = {"Packages": debindex.parse_packages, "Sources": debindex.parse_sources}
_Listed = tuple[str, str, int]  # path below the suite, sha256, size


class DebWriter:
    """Writes one draft."""

    def __init__(
        self,
        order: draft.Order,
        inputs: Sequence[debinput.DebInput],
        offered: Sequence[packages.Package],
        chosen: selection.Selection,
    ) -> None:
        self._order = order
        self._inputs = inputs
        self._offered = offered
        self._kept = frozenset(chosen.kept)
        self._names = frozenset(offered[index].name for index in chosen.kept)
        self._moved = packages.relocations(offered, chosen.kept, [source.name for source in inputs])
        self._first = self._numbered()
        self._made: dict[str, Path] = {}
        self._refs: list[fileref.FileRef] = []
        self._indexes: list[tuple[str, draft.Parse]] = []

    def write(self, signer: signing.Signer) -> draft.Draft:
        """Write everything, root documents last."""
        listed: dict[str, list[_Listed]] = {suite: [] for source in self._inputs for suite in source.releases}
        for number, (suite, path) in enumerate(sorted(self._first_by_place())):
            listed[suite] += self._index(number, suite, path)
        documents, companions = [], []
        for suite in sorted(listed):
            content = self._release(suite, listed[suite])
            inline = signer.sign_inline(content, made=self._order.made_at)
            documents.append(upstream.RootDocument(suite + "InRelease", inline))
            companions.append(upstream.RootDocument(suite + "Release", content))
            detached = signer.sign_detached(content, made=self._order.made_at)
            companions.append(upstream.RootDocument(suite + "Release.gpg", detached))
        root = upstream.Root(
            base="",
            generation=upstream.generation_id(documents, selection=self._selection(sorted(listed))),
            timestamp=self._order.made_at,
            documents=(*documents, *companions),
            metadata=tuple(self._refs),
            validators={},
        )
        return draft.Draft("deb", root, self._made, tuple(self._indexes), self._warnings())

    def _numbered(self) -> dict[tuple[int, str, str], int]:
        """The number of the first package of each index, as the inputs counted them."""
        first: dict[tuple[int, str, str], int] = {}
        count = 0
        for source in self._inputs:
            for index in source.indexes():
                first[source.number, index.suite, index.path] = count
                count += source.counts.get((index.suite, index.path), 0)
        return first

    def _first_by_place(self) -> set[tuple[str, str]]:
        return {(suite, path) for _, suite, path in self._first}

    def _index(self, number: int, suite: str, path: str) -> list[_Listed]:
        """Write one index; what a Release lists of it: the open content, which is not there, and the packed file."""
        place = self._order.directory / f"{number}.gz"
        with packed.GzipWriter(self._order.files, place) as writer:
            for stanza in self._stanzas(suite, path):
                writer.add(stanza + b"\n\n")
        written = writer.written
        kind = debindex.index_kind(path)
        if kind is None and not writer.count:  # translations of nothing
            return []
        target = f"{suite}{path}.gz"
        folder = target.rpartition("/")[0]
        by_hash = f"{folder}/by-hash/SHA256/{written.sha256}" if folder else f"by-hash/SHA256/{written.sha256}"
        checksum = fileref.Checksum("sha256", written.sha256)
        self._refs.append(fileref.FileRef(target, written.size, checksum, also_at=(by_hash,)))
        self._made[target] = place
        if kind is not None:
            self._indexes.append((target, _PARSERS[kind]))
        return [(path, written.open_sha256, written.open_size), (path + ".gz", written.sha256, written.size)]

    def _stanzas(self, suite: str, path: str) -> Iterator[bytes]:
        seen: set[bytes] = set()  # what two inputs have alike comes once
        for source in self._inputs:
            for index in source.indexes():
                if (index.suite, index.path) != (suite, path):
                    continue
                numbers = itertools.count(self._first[source.number, suite, path])
                for stanza in source.stanzas(index):
                    found = self._kept_stanza(index, next(numbers), stanza)
                    if found is not None and (digest := hashlib.sha256(found).digest()) not in seen:
                        seen.add(digest)
                        yield found

    def _kept_stanza(self, index: debinput.Index, number: int, stanza: bytes) -> bytes | None:
        if index.kind == "Translation":
            return stanza if debinput.fields_of(stanza).get("package") in self._names else None
        if number not in self._kept:
            return None
        path = self._moved.get(number)
        if path is None:
            return stanza
        if index.kind == "Sources":
            return _DIRECTORY.sub(lambda found: found[1] + path.rpartition("/")[0].encode(), stanza, count=1)
        return _FILENAME.sub(lambda found: found[1] + path.encode(), stanza, count=1)

    def _release(self, suite: str, listed: Sequence[_Listed]) -> bytes:
        lines = [f"{name}: {value}" for name in _KEPT_FIELDS if (value := self._field(suite, name))]
        lines += [f"Date: {utils.formatdate(self._order.made_at, usegmt=True)}", "Acquire-By-Hash: yes", "SHA256:"]
        lines += [f" {digest} {size:>16} {path}" for path, digest, size in sorted(listed)]
        return ("\n".join(lines) + "\n").encode()

    def _field(self, suite: str, name: str) -> str:
        """The first input's word; of components and architectures those of any input that the suite has indexes of."""
        found = [one for source in self._inputs if (one := _value(source.releases.get(suite), name))]
        if name not in ("Components", "Architectures"):
            return found[0] if found else ""
        present = self._present([suite])[name == "Architectures"]
        words = dict.fromkeys(word for value in found for word in value.split())
        # A security archive calls "updates/main" what lies in main; a flat repository has no indexes to tell by.
        return " ".join(word for word in words if not any(present) or word.rpartition("/")[2] in present)

    def _selection(self, suites: Sequence[str]) -> str:
        """As a mirror of the result would say it, so that copies of a generation have its name.

        "all" comes along with any other architecture (debindex), and is not asked for then.
        """
        wanted = [suite.removeprefix("dists/").removesuffix("/") if suite.startswith("dists/") else suite or "./"
                  for suite in suites]  # fmt: skip
        components, architectures = self._present(suites)
        named = architectures if architectures <= {"all", "source"} else architectures - {"all"}
        return "\n".join(" ".join(sorted(line)) for line in (wanted, components, named))

    def _present(self, suites: Sequence[str]) -> tuple[set[str], set[str]]:
        """The components and architectures of which some index is written; none for flat repositories."""
        components, architectures = set[str](), set[str]()
        for suite, path in self._first_by_place():
            component, _, last = path.rpartition("/")[0].rpartition("/")
            if suite in suites and component and last != "i18n":
                components.add(component)
                architectures.add(last.removeprefix("binary-"))
        return components, architectures

    def _warnings(self) -> tuple[str, ...]:
        rest = sorted({name for source in self._inputs for name in source.rest})
        told = "left out: they tell of packages that are not kept."
        return (f"{', '.join(rest)} {'is' if len(rest) == 1 else 'are'} {told}",) if rest else ()


def _value(found: release.Release | None, name: str) -> str:
    return found.fields.get(name.lower(), "") if found is not None else ""
