"""Suites of a DEB archive as one upstream: InRelease or Release and Release.gpg, their indexes, the packages below.

One generation covers all suites of the source, so that a client never sees two suites of different times from us.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from pathlib import Path

from stationmaster.mirror import debindex, failures, fetch, fileref, notes, release, source, trust, unpack, upstream


class DebUpstream:
    """The chosen suites of one archive. ``now``: what Valid-Until and keys are held against; None lets all pass."""

    format = "deb"

    def __init__(self, wanted: source.DebSource, fetcher: fetch.Fetcher, now: datetime.datetime | None) -> None:
        self._source = wanted
        self._fetcher = fetcher
        self._now = now
        self._notes = notes.Notes()
        self._keyring = trust.load_keyring(wanted.keys) if wanted.keys else None
        if self._keyring is not None:
            trust.require_unexpired(self._keyring, now)
        self._releases: dict[str, release.Release] = {}
        self._pair: dict[str, list[upstream.RootDocument | None]] = {}
        self._suites = tuple(sorted({directory_of(suite): suite for suite in wanted.suites}.items()))

    def fetch_root(self, base: str, former: upstream.Former | None, *, is_hurried: bool = False) -> upstream.Root:
        """The root documents of every suite, verified before anything in them is used."""
        reader = upstream.RootReader(self._fetcher, base, former, is_hurried=is_hurried)
        documents: list[upstream.RootDocument] = []
        refs: list[fileref.FileRef] = []
        for directory, suite in self._suites:
            found, text = self._read_suite(reader, directory)
            what = base + found[0].path
            parsed = release.parse_release(text, what=what)
            if self._now is not None:
                release.require_current(parsed, self._now, what=what)
            self._releases[directory] = parsed
            documents += found
            refs += self._refs(directory, suite, parsed)
        return upstream.Root(
            base=base,
            generation=upstream.generation_id(documents, selection=self._selection()),
            timestamp=max(parsed.timestamp for parsed in self._releases.values()),
            documents=tuple(documents),
            metadata=tuple(refs),
            validators=reader.validators,
        )

    def complete_root(self, root: upstream.Root) -> upstream.Root:
        """With Release and Release.gpg beside InRelease, as far as they say the same."""
        documents = list(root.documents)
        reader = upstream.RootReader(self._fetcher, root.base)
        for directory, _ in self._suites:
            if all(document.path != directory + "InRelease" for document in documents):
                continue
            plain = reader.read(directory + "Release")
            if plain is None or not self._is_same_release(directory, plain):
                continue
            documents.append(plain)
            if (signature := reader.read(directory + "Release.gpg")) is not None:
                documents.append(signature)
        return dataclasses.replace(root, documents=tuple(documents))

    def metadata_paths(self, ref: fileref.FileRef) -> tuple[str, ...]:
        """By hash first where the suite offers it: that name cannot change under our hands."""
        return tuple(fileref.quoted_path(path) for path in (*ref.also_at[:1], ref.path))

    def content_paths(self, path: str) -> tuple[str, ...]:
        """Paths in indexes are plain file names; apt quotes all of them."""
        return (fileref.quoted_path(path),)

    def content(self, root: upstream.Root, tree: Path) -> Iterator[fileref.FileRef]:
        """Packages and sources that the staged indexes name; of several compressions of an index one is read."""
        read: set[str] = set()
        stated = {ref.path: ref.size for ref in root.metadata}
        for ref in root.metadata:
            kind, plain = debindex.index_kind(ref.path), unpack.plain_name(ref.path)
            if kind is None or plain in read or not (tree / ref.path).exists():
                continue
            read.add(plain)
            blocks = unpack.unpacked_blocks(tree / ref.path, stated_size=stated.get(plain))
            parse = debindex.parse_packages if kind == "Packages" else debindex.parse_sources
            yield from self._notes.passing(parse(blocks, what=ref.path))

    def late_warnings(self) -> tuple[str, ...]:
        """SHA-1."""
        return self._notes.warnings()

    def _read_suite(
        self, reader: upstream.RootReader, directory: str
    ) -> tuple[tuple[upstream.RootDocument, ...], bytes]:
        """The root documents that name the suite's generation, and the text that may be trusted."""
        inline = None if self._is_pair_unchanged(reader, directory) else reader.read(directory + "InRelease")
        if inline is not None:
            what = reader.base + inline.path
            if self._keyring is not None:
                text = self._keyring.verify_inline(inline.content, what=what)
                release.require_clearsigned(inline.content, what=what)
                return (inline,), text
            return (inline,), release.unsigned_text(inline.content, what=what)
        plain, signature = self._pair.pop(directory, (None, None))
        if plain is None:
            plain = reader.require(directory + "Release")
            signature = reader.read(directory + "Release.gpg")
        if self._keyring is not None:
            if signature is None:
                raise failures.SignatureMissingError(
                    f"{reader.base}{plain.path} has neither InRelease nor Release.gpg, but a key is pinned.",
                    hint="The last good generation stays. Ask the upstream to sign, or leave out the key.",
                )
            self._keyring.verify_detached(plain.content, signature.content, what=reader.base + plain.path)
        return ((plain, signature) if signature else (plain,)), plain.content

    def _is_pair_unchanged(self, reader: upstream.RootReader, directory: str) -> bool:
        """Whether what is held has no InRelease and is as it was: then a no-op need not ask for InRelease again."""
        held = [reader.held(directory + name) for name in ("InRelease", "Release", "Release.gpg")]
        if held[0] is not None or held[1] is None:
            return False
        self._pair[directory] = [reader.read(directory + name) for name in ("Release", "Release.gpg")]
        return [document and document.content for document in self._pair[directory]] == held[1:]

    def _refs(self, directory: str, suite: str, parsed: release.Release) -> Iterator[fileref.FileRef]:
        for path, group in debindex.wanted_indexes(parsed, self._source, suite).items():
            listed = parsed.files[path]
            folder = path.rpartition("/")[0]
            also_at = []
            if parsed.is_by_hash:
                base = directory + (folder + "/" if folder else "") + "by-hash/"
                also_at = [f"{base}{field}/{digest}" for field, digest in listed.digests.items()]
            yield fileref.FileRef(
                directory + path,
                listed.size,
                listed.checksum,
                is_optional=True,
                also_at=tuple(also_at),
                group=directory + group if group else "",
            )

    def _is_same_release(self, directory: str, plain: upstream.RootDocument) -> bool:
        try:
            found = release.parse_release(plain.content, what=plain.path)
        except failures.MetadataInvalidError:
            return False
        return found.files == self._releases[directory].files

    def _selection(self) -> str:
        wanted = self._source
        words = (sorted(wanted.suites), sorted(wanted.components), sorted(wanted.architectures))
        return "\n".join(" ".join(line) for line in words)


def directory_of(suite: str) -> str:
    """Where a suite's metadata lies below the archive's base, with a slash at its end, or empty."""
    if source.is_flat(suite):
        path = "/".join(part for part in suite.split("/") if part not in ("", "."))
        return path + "/" if path else ""
    return f"dists/{suite}/"
