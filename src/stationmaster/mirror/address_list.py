"""Lists of base addresses that an upstream gives instead of one: mirrorlist (text) and metalink (XML).

A metalink also promises size and digest of repomd.xml, and those of former versions that mirrors may still show
("alternates", an extension by MirrorManager). Versions 3 (as MirrorManager writes it) and 4 (RFC 5854) are read.
"""

from __future__ import annotations

import dataclasses
import hashlib

from stationmaster.mirror import failures, fetch, fileref, source, xmlstream

_LIMIT = 4 << 20
_MOST_ADDRESSES = 20  # in the list's own order; who has so many that are all broken needs another list
_ROOT_NAME = "repomd.xml"
_ROOT_PATH = "repodata/repomd.xml"
_STRENGTH = ("sha512", "sha384", "sha256")


@dataclasses.dataclass(frozen=True)
class Version:
    """One version of repomd.xml; ``size`` None: not stated."""

    size: int | None
    checksum: fileref.Checksum

    def is_of(self, content: bytes) -> bool:
        """Whether these bytes are that version."""
        if self.size is not None and len(content) != self.size:
            return False
        return hashlib.new(self.checksum.algorithm, content).hexdigest() == self.checksum.value


@dataclasses.dataclass(frozen=True)
class Promise:
    """What a metalink says repomd.xml is, and what mirrors that lag behind may show."""

    present: Version
    former: tuple[Version, ...] = ()


@dataclasses.dataclass(frozen=True)
class AddressList:
    """Base addresses in order of preference."""

    addresses: tuple[str, ...]
    promise: Promise | None = None
    warnings: tuple[str, ...] = ()


def fetch_list(fetcher: fetch.Fetcher, wanted: source.RpmSource) -> AddressList:
    """The list that a source names; nothing when it names none."""
    url = wanted.metalink or wanted.mirrorlist
    if not url:
        return AddressList(())
    content = fetcher.fetch_document(url, limit=_LIMIT).body
    is_metalink = content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<?xml", b"<metalink"))
    if wanted.metalink and not is_metalink:
        raise _unusable(url, "is no metalink")
    found = parse_metalink(content, what=url) if is_metalink else AddressList(parse_mirrorlist(content))
    is_proved = bool(wanted.keys) or found.promise is not None
    return dataclasses.replace(found, addresses=_trusted(found.addresses, url, is_proved=is_proved))


def parse_mirrorlist(content: bytes) -> tuple[str, ...]:
    """The http and https addresses of a mirrorlist: one or several a line, ``#`` begins a comment."""
    words = [word for line in content.decode(errors="replace").splitlines() for word in line.partition("#")[0].split()]
    return _usable(words)


def parse_metalink(content: bytes, *, what: str) -> AddressList:
    """Addresses and promise of a metalink; MetadataInvalidError when it is none."""
    handler = _MetalinkHandler(what)
    for _ in xmlstream.parse_blocks([content], handler, what=what):
        pass
    if not handler.is_metalink:
        raise failures.MetadataInvalidError(f"{what} is XML of another kind: its root element is not metalink.")
    ranked = sorted(handler.urls, key=lambda one: one[0])
    bases = [url.removesuffix(_ROOT_PATH) for _, url in ranked if url.endswith("/" + _ROOT_PATH)]
    versions = [entry.strongest(what) for entry in handler.versions]
    present = versions[0] if versions else None
    if present is None:
        warning = f"{what} promises no SHA-2 digest of repomd.xml, so it proves nothing."
        return AddressList(_usable(bases), None, (warning,))
    return AddressList(_usable(bases), Promise(present, tuple(one for one in versions[1:] if one is not None)))


@dataclasses.dataclass
class _Entry:
    """One version while it is read."""

    size: int | None = None
    digests: dict[str, str] = dataclasses.field(default_factory=dict)

    def strongest(self, what: str) -> Version | None:
        for algorithm in _STRENGTH:
            if algorithm in self.digests:
                return Version(self.size, fileref.parse_checksum(algorithm, self.digests[algorithm], what=what))
        return None


class _MetalinkHandler:
    wants_text = frozenset({"hash", "size", "url", "alternate"})  # not for the text of alternate: for its end
    wants_start: frozenset[str] = frozenset()

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_ours = False
        self._attributes: dict[str, str] = {}
        self._is_first = True
        self._is_alternate = False
        self.is_metalink = False
        self.urls: list[tuple[int, str]] = []
        self.versions: list[_Entry] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._is_first:
            self._is_first, self.is_metalink = False, name == "metalink"
        self._attributes = attributes
        if name == "file":
            self._is_ours = attributes.get("name") == _ROOT_NAME
            if self._is_ours:
                self.versions = [_Entry()]
        elif name == "alternate" and self._is_ours:
            self._is_alternate = True
            self.versions.append(_Entry())

    def end(self, name: str, text: str) -> None:
        if not self._is_ours:
            return
        if name == "alternate":
            self._is_alternate = False
        elif name == "url":
            self.urls.append((_rank(self._attributes), text))
        elif name == "size" and text.isascii() and text.isdigit() and len(text) < 19:
            self._entry().size = int(text)
        elif name == "hash":
            self._entry().digests[self._attributes.get("type", "").lower().replace("-", "")] = text

    def _entry(self) -> _Entry:
        return self.versions[-1 if self._is_alternate else 0]


def _rank(attributes: dict[str, str]) -> int:
    """Smaller is better: ``priority`` of RFC 5854 as it is, ``preference`` of version 3 turned round."""
    for name, sign in (("priority", 1), ("preference", -1)):
        text = attributes.get(name, "")
        if text.isascii() and text.isdigit() and len(text) < 10:
            return sign * int(text)
    return 1 << 30


def _usable(words: list[str]) -> tuple[str, ...]:
    """The words that are base addresses which can be asked; ftp, rsync and addresses with credentials are left out."""
    found = [word for word in words if source.is_base_address(word)]
    return tuple(dict.fromkeys(source.with_slash(word) for word in found))[:_MOST_ADDRESSES]


def _trusted(addresses: tuple[str, ...], url: str, *, is_proved: bool) -> tuple[str, ...]:
    """Without key and promise nothing but TLS proves the root: then a list that came by https leads to https only."""
    found = addresses
    if url.lower().startswith("https:") and not is_proved:
        found = tuple(one for one in addresses if one.lower().startswith("https:"))
    if found:
        return found
    if addresses:
        raise _unusable(url, "names plain http addresses alone, and nothing proves what they give; pin a key")
    raise _unusable(url, "names no http or https address of a repository")


def _unusable(url: str, why: str) -> failures.MetadataInvalidError:
    return failures.MetadataInvalidError(
        f"{url} {why}.",
        hint="The last good generation stays. Check the address of the list.",
        code="AddressListUnusable",
    )
