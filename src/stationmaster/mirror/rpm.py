"""An RPM repository as an upstream: repomd.xml, its signature, its data files, the packages that primary names."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator
from pathlib import Path

from stationmaster.mirror import failures, fetch, fileref, notes, repomd, source, trust, unpack, upstream

ROOT = "repodata/repomd.xml"
SIGNATURE = "repodata/repomd.xml.asc"
KEY = "repodata/repomd.xml.key"


class RpmUpstream:
    """One RPM repository. ``now`` is the time that keys are held against, None to let it pass."""

    format = "rpm"

    def __init__(self, wanted: source.RpmSource, fetcher: fetch.Fetcher, now: datetime.datetime | None = None) -> None:
        self._now = now
        self._notes = notes.Notes()
        self._source = wanted
        self._fetcher = fetcher

    def fetch_root(self, base: str, former: upstream.Former | None, *, is_hurried: bool = False) -> upstream.Root:
        """repomd.xml and its detached signature, verified before anything in it is used."""
        reader = upstream.RootReader(self._fetcher, base, former, is_hurried=is_hurried)
        document = reader.require(ROOT)
        signature = reader.read(SIGNATURE)
        self._verify(base, document, signature)
        documents = (document, signature) if signature else (document,)
        parsed = repomd.parse_repomd(document.content)
        refs = repomd.metadata_refs(parsed)
        return upstream.Root(
            base=base,
            generation=upstream.generation_id(documents),
            timestamp=parsed.timestamp,
            documents=documents,
            metadata=refs,
            validators=reader.validators,
            warnings=_warnings(refs),
        )

    def complete_root(self, root: upstream.Root) -> upstream.Root:
        """With repomd.xml.key, which some upstreams put there for clients; it proves nothing to us."""
        if len(root.documents) < 2:
            return root
        key = upstream.RootReader(self._fetcher, root.base).read(KEY)
        return dataclasses.replace(root, documents=(*root.documents, key)) if key else root

    def metadata_paths(self, ref: fileref.FileRef) -> tuple[str, ...]:
        """Data files lie where repomd.xml says."""
        return (fileref.quoted_path(ref.path),)

    def content_paths(self, path: str) -> tuple[str, ...]:
        """A path that is URL-encoded already is asked for as clients do, as it stands; then as a plain file name."""
        quoted = fileref.quoted_path(path)
        return (quoted.replace("%25", "%"), quoted) if fileref.is_encoded(path) else (quoted,)

    def content(self, root: upstream.Root, tree: Path) -> Iterator[fileref.FileRef]:
        """Packages and deltas."""
        parsed = repomd.parse_repomd(root.documents[0].content)
        kinds = (("primary", repomd.parse_primary), ("prestodelta", repomd.parse_deltas))
        if not any(data.type in _variants("primary") for data in parsed.data):
            raise failures.MetadataInvalidError("repomd.xml names no primary metadata, so its packages are unknown.")
        for kind, parse in kinds:
            for data in (one for one in parsed.data if one.type in _variants(kind)):  # clients may read any of them
                path = fileref.normal_path(data.href, what="repomd.xml")
                blocks = unpack.unpacked_blocks(tree / path, stated_size=data.open_size)
                yield from self._notes.passing(parse(blocks, what=path))

    def late_warnings(self) -> tuple[str, ...]:
        """SHA-1, and packages that lie elsewhere."""
        return self._notes.warnings()

    def _verify(self, base: str, document: upstream.RootDocument, signature: upstream.RootDocument | None) -> None:
        if not self._source.keys:
            return
        keyring = trust.load_keyring(self._source.keys)
        if keyring is None:
            return
        if signature is None:
            raise failures.SignatureMissingError(
                f"{base}{SIGNATURE} does not exist, but a key is pinned for {self._source.name}.",
                hint="The last good generation stays. Ask the upstream to sign repomd.xml, or leave out the key.",
            )
        trust.require_unexpired(keyring, self._now)
        keyring.verify_detached(document.content, signature.content, what=base + ROOT)


def _variants(kind: str) -> tuple[str, str]:
    """The types under which a kind of data may stand: plain, and in zchunk, which dnf prefers where it can."""
    return kind, f"{kind}_zck"


def _warnings(refs: tuple[fileref.FileRef, ...]) -> tuple[str, ...]:
    found = []
    if any(ref.checksum.algorithm == "sha1" for ref in refs):
        found.append("repomd.xml uses SHA-1 checksums, which can be forged.")
    if elsewhere := next((ref.base for ref in refs if ref.base), ""):
        found.append(f"repomd.xml places metadata at {elsewhere} by xml:base; clients will ask there.")
    return tuple(found)
