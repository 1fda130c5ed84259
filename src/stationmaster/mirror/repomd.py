"""The XML of an RPM repository that the engine reads: repomd, primary, prestodelta. All other is only kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from stationmaster.mirror import failures, fileref, source, xmlstream

_XML_BASE = "http://www.w3.org/XML/1998/namespace base"
_PLAUSIBLE_TIMES = range(631_152_000, 7_258_118_400)  # 1990 to 2200: a revision may also be any word or number


@dataclasses.dataclass
class DataFile:
    """One ``data`` element of repomd.xml."""

    type: str
    href: str = ""
    base: str = ""
    algorithm: str = ""
    digest: str = ""
    size: int | None = None
    open_size: int | None = None


@dataclasses.dataclass
class Repomd:
    """What repomd.xml says: its data files, and the time it was made."""

    data: list[DataFile]
    timestamp: int


def parse_repomd(content: bytes) -> Repomd:
    """Read repomd.xml."""
    handler = _RepomdHandler()
    for _ in xmlstream.parse_blocks([content], handler, what="repomd.xml"):
        pass
    if not handler.is_repomd:
        raise failures.MetadataInvalidError("repomd.xml is XML of another kind: its root element is not repomd.")
    return Repomd(handler.data, max(handler.times, default=0))


def metadata_refs(repomd: Repomd) -> tuple[fileref.FileRef, ...]:
    """The data files to keep: all of them, of whatever type."""
    found: dict[str, fileref.FileRef] = {}
    for data in repomd.data:
        what = f"repomd.xml, data {data.type}"
        path = fileref.normal_path(data.href, what=what)
        checksum = fileref.parse_checksum(data.algorithm, data.digest, what=path)
        ref = fileref.FileRef(path, data.size, checksum, base=data.base)
        if found.setdefault(path, ref) != ref:
            raise failures.MetadataInvalidError(f"repomd.xml names {path} twice, with different size or checksum.")
    return tuple(found.values())


def parse_primary(blocks: Iterable[bytes], *, what: str) -> Iterator[fileref.FileRef]:
    """The packages that primary.xml names."""
    return _drained(blocks, _PrimaryHandler(what), what)


def parse_deltas(blocks: Iterable[bytes], *, what: str) -> Iterator[fileref.FileRef]:
    """The delta packages that prestodelta.xml names: clients ask for them, so they are held, too (I4)."""
    return _drained(blocks, _DeltaHandler(what), what)


class _Collecting(xmlstream.Handler):
    def __init__(self) -> None:
        self.found: list[fileref.FileRef] = []


def _drained(blocks: Iterable[bytes], handler: _Collecting, what: str) -> Iterator[fileref.FileRef]:
    for _ in xmlstream.parse_blocks(blocks, handler, what=what):
        yield from handler.found
        handler.found.clear()


class _RepomdHandler:
    wants_text = frozenset({"checksum", "size", "open-size", "timestamp", "revision"})
    wants_start: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.data: list[DataFile] = []
        self.times: list[int] = []
        self.is_repomd = False
        self._depth_seen = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._depth_seen:
            self._depth_seen = True
            self.is_repomd = name == "repomd"
        if name == "data":
            self.data.append(DataFile(attributes.get("type", "")))
        elif self.data and name == "location":
            self.data[-1].base = _foreign_base(attributes, "repomd.xml")
            self.data[-1].href = attributes.get("href", "")
        elif self.data and name == "checksum":
            self.data[-1].algorithm = attributes.get("type", "")

    def end(self, name: str, text: str) -> None:
        if name in ("timestamp", "revision"):
            try:
                seconds = int(float(text))
            except (ValueError, OverflowError):
                return
            if seconds in _PLAUSIBLE_TIMES:
                self.times.append(seconds)
        elif self.data and name == "checksum":
            self.data[-1].digest = text
        elif self.data and name == "size":
            self.data[-1].size = fileref.parse_size(text, what="repomd.xml")
        elif self.data and name == "open-size":
            self.data[-1].open_size = fileref.parse_size(text, what="repomd.xml")


class _PrimaryHandler(_Collecting):
    wants_text = frozenset({"checksum", "package"})  # not for the text of package: for its end
    wants_start = frozenset({"package", "checksum", "size", "location"})

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what
        self._is_open = False
        self._reset()

    def _reset(self) -> None:
        self._href = self._base = self._algorithm = self._digest = ""
        self._size: int | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "package":
            self._is_open = True
        elif name == "checksum":
            self._algorithm = attributes.get("type", "")
        elif name == "size" and "package" in attributes:
            self._size = fileref.parse_size(attributes["package"], what=self._what)
        elif name == "location":
            self._base = _foreign_base(attributes, self._what)
            self._href = attributes.get("href", "")

    def end(self, name: str, text: str) -> None:
        if name == "checksum":
            self._digest = text
        else:
            self._finish()

    def _finish(self) -> None:
        if not self._is_open:
            return
        path = fileref.normal_path(self._href, what=self._what)
        checksum = fileref.parse_checksum(self._algorithm, self._digest, what=path)
        self.found.append(fileref.FileRef(path, self._size, checksum, fileref.Kind.PACKAGE, base=self._base))
        if fileref.is_encoded(path):  # clients send %2B as it stands, and web servers decode it: hold both spellings
            from urllib import parse

            plain = fileref.normal_path(parse.unquote(path), what=self._what)
            self.found.append(fileref.FileRef(plain, self._size, checksum, fileref.Kind.FURTHER, base=self._base))
        self._is_open = False
        self._reset()


class _DeltaHandler(_Collecting):
    wants_text = frozenset({"filename", "size", "checksum"})
    wants_start = frozenset({"delta", "checksum"})

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what
        self._fields: dict[str, str] = {}
        self._algorithm = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "delta":
            self._fields = {}
        elif name == "checksum":
            self._algorithm = attributes.get("type", "")

    def end(self, name: str, text: str) -> None:
        self._fields[name] = text
        if all(field in self._fields for field in self.wants_text):
            path = fileref.normal_path(self._fields["filename"], what=self._what)
            checksum = fileref.parse_checksum(self._algorithm, self._fields["checksum"], what=path)
            size = fileref.parse_size(self._fields["size"], what=self._what)
            self.found.append(fileref.FileRef(path, size, checksum, fileref.Kind.FURTHER))
            self._fields = {}


def _foreign_base(attributes: dict[str, str], what: str) -> str:
    """The address that ``xml:base`` puts before a location (ADR 9); empty when there is none."""
    found = attributes.get(_XML_BASE, "")
    if not found or source.is_base_address(found):
        return found and source.with_slash(found)
    raise failures.MetadataInvalidError(
        f"{what} places {attributes.get('href')!r} at {source.without_userinfo(found)!r} by xml:base; nothing can be "
        "fetched there.",
        hint="Only plain http and https addresses are followed. Report it to those who run the upstream.",
        code="ForeignLocation",
    )
