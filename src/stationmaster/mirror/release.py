"""The Release file of a DEB suite: what it names, when it was made, how long it holds."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping

from stationmaster.mirror import failures, fileref

HASH_FIELDS = ("SHA512", "SHA256", "SHA1", "MD5Sum")  # strongest first; also the names of by-hash directories
_CLEARSIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_STRONG = {"SHA512": "sha512", "SHA256": "sha256"}


@dataclasses.dataclass(frozen=True)
class Listed:
    """One file that a Release lists: size, the digest to trust, and all its digests by field name."""

    size: int
    checksum: fileref.Checksum
    digests: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Release:
    """A Release file, read."""

    fields: Mapping[str, str]
    files: Mapping[str, Listed]
    timestamp: int
    valid_until: datetime.datetime | None

    @property
    def is_by_hash(self) -> bool:
        """Whether clients may ask by hash (Acquire-By-Hash)."""
        return self.fields.get("acquire-by-hash", "").strip().lower() == "yes"


def parse_release(content: bytes, *, what: str) -> Release:
    """Read the plain text of a Release file."""
    fields = _parse_fields(content, what)
    files = _parse_files(fields, what)
    if "date" not in fields and not files:
        raise failures.MetadataInvalidError(f"{what} is no Release file: it has neither date nor files.")
    made = _parse_date(fields.get("date", ""), what)
    until = fields.get("valid-until", "")
    return Release(fields, files, int(made.timestamp()) if made else 0, _parse_date(until, what) if until else None)


def unsigned_text(document: bytes) -> bytes:
    """The text of a cleartext-signed document whose signature nobody asked to check (RFC 9580 section 7)."""
    if not document.lstrip().startswith(_CLEARSIGNED):
        return document
    _, _, after = document.replace(b"\r\n", b"\n").partition(b"\n\n")
    text = after.partition(b"\n" + _SIGNATURE)[0]
    return b"\n".join(line.removeprefix(b"- ") for line in text.split(b"\n"))


def require_current(release: Release, now: datetime.datetime, *, what: str) -> None:
    """ReleaseExpiredError when Valid-Until has passed: clients would refuse it as well."""
    if release.valid_until is not None and release.valid_until < now:
        raise failures.ReleaseExpiredError(
            f"{what} was valid until {release.valid_until:%Y-%m-%d %H:%M} UTC; now it is {now:%Y-%m-%d %H:%M} UTC.",
            hint="The upstream is stale. For an archive that is closed for good, allow expired releases.",
        )


def _parse_fields(content: bytes, what: str) -> dict[str, str]:
    try:
        text = content.decode()
    except UnicodeDecodeError as exc:
        raise failures.MetadataInvalidError(f"{what} is no text: {exc}.") from exc
    fields: dict[str, str] = {}
    for line in text.splitlines():
        if line[:1] in (" ", "\t"):
            if not fields:
                raise failures.MetadataInvalidError(f"{what} begins with a continued line.")
            last = next(reversed(fields))
            fields[last] += "\n" + line.strip()
        elif line.strip():
            name, colon, value = line.partition(":")
            if not colon:
                raise failures.MetadataInvalidError(f"{what} holds the line {line[:60]!r}, which is no field.")
            fields[name.strip().lower()] = value.strip()
    return fields


def _parse_files(fields: Mapping[str, str], what: str) -> dict[str, Listed]:
    digests: dict[str, dict[str, str]] = {}
    sizes: dict[str, int] = {}
    for field in HASH_FIELDS:
        for line in fields.get(field.lower(), "").splitlines():
            words = line.split(None, 2)
            if not words:
                continue
            if len(words) != 3 or not words[1].isdecimal() or not words[0].isalnum():
                raise failures.MetadataInvalidError(f"{what} holds the line {line!r} in {field}.")
            path = fileref.normal_path(words[2], what=what)
            digests.setdefault(path, {})[field] = words[0].lower()
            if sizes.setdefault(path, int(words[1])) != int(words[1]):
                raise failures.MetadataInvalidError(f"{what} states two sizes for {path}.")
    files = {}
    for path, found in digests.items():
        strongest = next((field for field in _STRONG if field in found), None)
        if strongest is None:
            raise failures.WeakDigestError(
                f"{what} lists {path} without SHA-256 or SHA-512.", hint="Ask the upstream to publish SHA-256."
            )
        checksum = fileref.parse_checksum(_STRONG[strongest], found[strongest], what=path)
        files[path] = Listed(sizes[path], checksum, found)
    return files


def _parse_date(text: str, what: str) -> datetime.datetime | None:
    if not text:
        return None
    from email import utils

    try:
        date = utils.parsedate_to_datetime(text)
    except ValueError as exc:
        raise failures.MetadataInvalidError(f"{what} holds the date {text!r}, which is no date.") from exc
    return date if date.tzinfo else date.replace(tzinfo=datetime.UTC)
