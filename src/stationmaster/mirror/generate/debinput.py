"""Reading DEB generations: suites with their Release, the indexes that are there, packages as their stanzas say."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from stationmaster.mirror import debindex, failures, fileref, release, unpack
from stationmaster.mirror.generate import draft, packages

_FIELD = re.compile(rb"^(Package|Version|Architecture):[ \t]*(.*?)[ \t]*$", re.MULTILINE | re.IGNORECASE)
_TRANSLATION = re.compile(r"(?:.*/)?i18n/Translation-[^/]+")
_LONGEST_STANZA = 32 << 20


@dataclasses.dataclass(frozen=True)
class Index:
    """One index of an input: where it belongs (without the suffix of a compression), what it lists, where it lies."""

    suite: str
    path: str
    kind: str
    place: Path
    open_size: int | None


class DebInput:
    """One DEB generation; suites are named by their directory, with a slash at its end, or empty."""

    def __init__(self, source: draft.Input) -> None:
        self.number = source.number
        self.name = source.name
        self.releases: dict[str, release.Release] = {}
        self.rest: set[str] = set()
        self.counts: dict[tuple[str, str], int] = {}  # of packages, once they were read
        self._indexes: dict[tuple[str, str], Index] = {}
        for path in source.header.roots:
            directory, _, name = path.rpartition("/")
            suite = directory + "/" if directory else ""
            if name in ("InRelease", "Release") and suite not in self.releases:
                text = release.unsigned_text((source.tree / path).read_bytes())
                self.releases[suite] = release.parse_release(text, what=f"{self.name}, {path}")
        for suite, parsed in self.releases.items():
            for path in sorted(parsed.files):
                self._note(source.tree, suite, path, parsed)

    def indexes(self) -> Iterator[Index]:
        """The indexes that are there, in a fixed order; of several compressions one."""
        return iter([self._indexes[key] for key in sorted(self._indexes)])

    def what(self, index: Index) -> str:
        """How messages name an index."""
        return f"{self.name}, {index.suite}{index.path}"

    def stanzas(self, index: Index) -> Iterator[bytes]:
        """The paragraphs of an index, as they stand, without the empty lines between them."""
        return read_stanzas(unpack.unpacked_blocks(index.place, stated_size=index.open_size), what=self.what(index))

    def read_packages(self) -> Iterator[packages.Package]:
        """What all Packages and Sources indexes name, index by index."""
        for index in self.indexes():
            if index.kind != "Translation":
                count = 0
                for stanza in self.stanzas(index):
                    yield self._package(index, stanza)
                    count += 1
                self.counts[index.suite, index.path] = count

    def _note(self, tree: Path, suite: str, path: str, parsed: release.Release) -> None:
        plain = unpack.plain_name(path)
        kind = debindex.index_kind(path) or ("Translation" if _TRANSLATION.fullmatch(plain) else None)
        if not (tree / (suite + path)).is_file():
            return
        if kind is None:
            name = plain.rpartition("/")[2]
            if name != "Release":
                self.rest.add(name.partition("-")[0])
        elif (suite, plain) not in self._indexes:
            size = parsed.files[plain].size if plain in parsed.files else None
            self._indexes[suite, plain] = Index(suite, plain, kind, tree / (suite + path), size)

    def _package(self, index: Index, stanza: bytes) -> packages.Package:
        what = self.what(index)
        fields = fields_of(stanza)
        parse = debindex.parse_sources if index.kind == "Sources" else debindex.parse_packages
        refs = list(parse([stanza], what=what))
        ref = next((one for one in refs if one.kind is fileref.Kind.PACKAGE), None)
        if ref is None:
            raise failures.MetadataInvalidError(f"{what} holds an entry without a package.")
        return packages.Package(
            input=self.number,
            name=fields.get("package", ""),
            epoch="",
            version=fields.get("version", ""),
            release="",
            architecture="source" if index.kind == "Sources" else fields.get("architecture", ""),
            checksum=str(ref.checksum),
            path=ref.path,
        )


def read_stanzas(blocks: Iterable[bytes], *, what: str) -> Iterator[bytes]:
    """Paragraphs (deb822) as they stand, without line ends around them."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).replace(b"\r\n", b"\n").split(b"\n\n")
        yield from (stanza.strip(b"\n") for stanza in whole if stanza.strip())
        if len(rest) > _LONGEST_STANZA:
            raise failures.MetadataTooLargeError(f"{what} holds an entry without end.")
    if rest.strip():
        yield rest.strip(b"\n")


def fields_of(stanza: bytes) -> Mapping[str, str]:
    """Package, Version and Architecture of a stanza."""
    return {name.decode().lower(): value.decode(errors="replace") for name, value in _FIELD.findall(stanza)}
