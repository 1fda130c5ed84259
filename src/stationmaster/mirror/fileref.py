"""Files of a repository as metadata names them: path, size, checksum. Paths and checksums are made safe here, once."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import re
from pathlib import Path
from urllib import parse

from stationmaster.mirror import failures

ALGORITHMS = {"sha256": 64, "sha512": 128, "sha384": 96, "sha1": 40}
_SPELLINGS = {"sha": "sha1"}  # createrepo before 2009 wrote "sha" and meant SHA-1
_HEX = re.compile(r"[0-9a-f]+")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # C1, too: terminals obey it
_LONGEST_PATH = 1000  # characters of up to four bytes, below a volume's own path: Linux takes 4096 bytes
_BLOCK = 1 << 18
_PACKAGE_TIME_BASE = 1_577_836_800  # 2020-01-01
_PACKAGE_TIME_RANGE = 31_536_000


class Kind(enum.StrEnum):
    """What a path of a generation is; the letters are those of the manifest."""

    METADATA = "m"
    PACKAGE = "p"
    FURTHER = "f"  # content that is no package by itself: deltas, parts of source packages, second spellings of a path


@dataclasses.dataclass(frozen=True, slots=True)
class Checksum:
    """A digest in lower-case hexadecimal, with its algorithm."""

    algorithm: str
    value: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"


@dataclasses.dataclass(frozen=True, slots=True)
class FileRef:
    """One file that metadata names. ``size`` None: not stated."""

    path: str
    size: int | None
    checksum: Checksum
    kind: Kind = Kind.METADATA
    is_optional: bool = False  # the upstream may list it and not have it (DEB)
    also_at: tuple[str, ...] = ()  # further paths that carry the same bytes (by-hash)
    group: str = ""  # of the optional files of a group at least one must be there
    base: str = ""  # the address below which it lies, where that is not the repository's own (xml:base)


def parse_checksum(algorithm: str, value: str, *, what: str) -> Checksum:
    """A checksum that can be trusted to name bytes, or an error: MD5 is refused."""
    name = _SPELLINGS.get(algorithm.strip().lower(), algorithm.strip().lower())
    digest = value.strip().lower()
    length = ALGORITHMS.get(name)
    if length is None:
        raise failures.WeakDigestError(
            f"The checksum type {algorithm!r} of {what} is not accepted; expected is one of {', '.join(ALGORITHMS)}.",
            hint="Ask the upstream to publish SHA-256 checksums.",
        )
    if len(digest) != length or not _HEX.fullmatch(digest):
        raise failures.MetadataInvalidError(f"{value!r} is no {name} checksum ({what}).")
    return Checksum(name, digest)


def normal_path(path: str, *, what: str) -> str:
    """The path without ``.``, ``..`` and doubled slashes; refused when it leaves the tree or cannot be a file name."""
    kept: list[str] = []
    if path.startswith("/") or "\\" in path or "://" in path:
        raise _unsafe(path, what)
    for part in path.split("/"):
        if part == "..":
            if not kept:
                raise _unsafe(path, what)
            kept.pop()
        elif part not in ("", "."):
            kept.append(part)
    try:
        longest = max((len(part.encode()) for part in kept), default=0)
    except UnicodeEncodeError as exc:
        raise _unsafe(path, what) from exc
    is_long = longest > 255 or len(path) > _LONGEST_PATH
    if not kept or path.endswith("/") or is_long or _CONTROL.search(path) or kept[0] == ".metadata":
        raise _unsafe(path, what)
    return "/".join(kept)


def parse_size(text: str, *, what: str) -> int:
    """A size in bytes, as metadata states it."""
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise failures.MetadataInvalidError(f"{what} states the size {text[:40]!r}, which is no size.")
    return int(text)


def quoted_path(path: str) -> str:
    """The path as it goes into a URL: everything quoted that RFC 3986 does not leave alone."""
    return parse.quote(path, safe="/~")


def is_encoded(path: str) -> bool:
    """Whether the path holds something that a web server would decode (%2B)."""
    return _ENCODED.search(path) is not None


def package_mtime(sha256: str) -> int:
    """The modification time of content in the pool: fixed by its digest, so that it is equal on all volumes.

    nginx makes the ETag of time and size; other bytes at the same path must get another one, or a client that resumes
    would join two files.
    """
    return _PACKAGE_TIME_BASE + int(sha256[:8], 16) % _PACKAGE_TIME_RANGE


def digest_of(path: Path, algorithm: str = "sha256") -> str:
    """The digest of a file's bytes, in bounded memory."""
    digest = hashlib.new(algorithm)
    with path.open("rb", buffering=0) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _unsafe(path: str, what: str) -> failures.UnsafePathError:
    shown = path if len(path) <= 200 else path[:200] + "…"
    return failures.UnsafePathError(
        f"{what} names the path {shown!r}, which leaves the tree or cannot be a file in it.",
        hint="Nothing of it was written. Report it to those who run the upstream.",
    )
