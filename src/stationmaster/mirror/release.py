"""The Release file of a DEB suite: what it names, when it was made, how long it holds."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping

from stationmaster.mirror import dates, failures, fileref

HASH_FIELDS = ("SHA512", "SHA256", "SHA1", "MD5Sum")  # strongest first; also the names of by-hash directories
_LENGTHS = {"SHA512": 128, "SHA256": 64, "SHA1": 40, "MD5Sum": 32}
_MOST_FILES = 100_000  # Debian's largest suite lists 10,000
_CLEARSIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_END = b"\n-----END PGP SIGNATURE-----"
_SKEW = datetime.timedelta(hours=1)  # between an upstream's clock and ours
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


def unsigned_text(document: bytes, *, what: str = "InRelease") -> bytes:
    """The text of a document whose signature, if it has one, nobody asked to check."""
    return require_clearsigned(document, what=what) if document.startswith(_CLEARSIGNED) else document


def require_clearsigned(document: bytes, *, what: str) -> bytes:
    """The text of a cleartext-signed document (RFC 9580 section 7), which must be nothing else.

    OpenPGP libraries skip what stands before, after, or in unknown header lines; clients refuse such a document, and
    in former times believed the rest as well.
    """
    head, _, rest = document.replace(b"\r\n", b"\n").partition(b"\n\n")
    first, *headers = head.split(b"\n")
    text, mark, signature = rest.partition(b"\n" + _SIGNATURE + b"\n")
    lines = text.split(b"\n")
    is_whole = first.rstrip() == _CLEARSIGNED and mark and signature.partition(_END)[1]
    is_alone = not signature.partition(_END)[2].strip() and all(one.startswith(b"Hash:") for one in headers)
    if not is_whole or not is_alone or any(line[:1] == b"-" and line[:2] != b"- " for line in lines):
        raise failures.SignatureInvalidError(
            f"{what} is no document that is cleartext-signed from its first to its last line.",
            hint="The last good generation stays. Clients would refuse it, too.",
            code="TextOutsideSignature",
        )
    return b"\n".join(line.removeprefix(b"- ") for line in lines)


def require_current(release: Release, now: datetime.datetime, *, what: str) -> None:
    """ReleaseExpiredError when Valid-Until has passed, or Date is still to come: clients would refuse it as well."""
    if release.timestamp > (now + _SKEW).timestamp():
        made = datetime.datetime.fromtimestamp(release.timestamp, datetime.UTC)
        raise failures.ReleaseExpiredError(
            f"{what} is of {made:%Y-%m-%d %H:%M} UTC, which is still to come; now it is {now:%Y-%m-%d %H:%M} UTC.",
            hint="The last good generation stays. Check the clock of this machine, then the upstream's.",
            code="ReleaseFromFuture",
        )
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
    fields: dict[str, list[str]] = {}
    last: list[str] | None = None
    for line in text.split("\n"):
        if not line.strip():
            continue
        if line[0] in " \t":
            if last is None:
                raise failures.MetadataInvalidError(f"{what} begins with a continued line.")
            last.append(line.strip())
            continue
        name, colon, value = line.partition(":")
        if not colon:
            raise failures.MetadataInvalidError(f"{what} holds the line {line[:60]!r}, which is no field.")
        last = fields[name.strip().lower()] = [value.strip()]
    return {name: "\n".join(lines) for name, lines in fields.items()}


def _parse_files(fields: Mapping[str, str], what: str) -> dict[str, Listed]:
    digests: dict[str, dict[str, str]] = {}
    sizes: dict[str, int] = {}
    for field in HASH_FIELDS:
        for line in fields.get(field.lower(), "").split("\n"):
            words = line.split(None, 2)
            if not words:
                continue
            if len(words) != 3 or not _is_digest(words[0], field):
                raise failures.MetadataInvalidError(f"{what} holds the line {line[:120]!r} in {field}.")
            path, size = fileref.normal_path(words[2], what=what), fileref.parse_size(words[1], what=what)
            if digests.setdefault(path, {}).setdefault(field, words[0].lower()) != words[0].lower():
                raise failures.MetadataInvalidError(f"{what} states two {field} digests for {path}.")
            if sizes.setdefault(path, size) != size:
                raise failures.MetadataInvalidError(f"{what} states two sizes for {path}.")
        if len(sizes) > _MOST_FILES:
            raise failures.MetadataTooLargeError(f"{what} lists more than {_MOST_FILES} files.")
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


def _is_digest(text: str, field: str) -> bool:
    """Whether the text is a digest of the field's kind; it becomes a file name below by-hash."""
    is_weak = field not in _STRONG  # never believed, and some archives are careless with them
    return text.isascii() and text.isalnum() and (len(text) == _LENGTHS[field] or (is_weak and len(text) <= 128))


def _parse_date(text: str, what: str) -> datetime.datetime | None:
    if not text:
        return None
    date = dates.parse_mail_date(text)
    if date is None:
        raise failures.MetadataInvalidError(f"{what} holds the date {text[:60]!r}, which is no date.")
    return date
