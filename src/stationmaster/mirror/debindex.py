"""Indexes of a DEB suite: which files a Release offers for a selection, and what Packages and Sources name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from stationmaster.mirror import failures, fileref, release, source, unpack

# Without a lazy or trailing part: a line of blanks would take the square of its length.
_FIELD = re.compile(rb"^(Filename|Size|SHA512|SHA256|SHA1|MD5sum):(.*)$", re.MULTILINE | re.IGNORECASE)
_DIRECTORY = re.compile(rb"^Directory:(.*)$", re.MULTILINE | re.IGNORECASE)
_SOURCE_SUMS = re.compile(
    rb"^(Checksums-Sha512|Checksums-Sha256|Checksums-Sha1):[^\n]*((?:\n[ \t][^\n]*)*)", re.MULTILINE | re.IGNORECASE
)
_ROOTS = {"Release", "Release.gpg", "InRelease"}
_LONGEST_STANZA = 4 << 20


def wanted_indexes(listed: release.Release, wanted: source.DebSource, suite: str) -> dict[str, str]:
    """The listed paths to mirror, each with its group; of a named group at least one file must exist upstream."""
    if source.is_flat(suite):
        indexes = (path for path in listed.files if path not in _ROOTS)  # some archives list their root in itself
        return {path: "Packages" if _is_index(path, "Packages") else "" for path in indexes}
    names = _binary_names(listed, wanted)
    chosen: dict[str, str] = {}
    for path in listed.files:
        for component in wanted.components:
            group = _group_in_component(path, component, wanted, names)
            if group is None and _is_contents(path, "", names):
                group = ""
            if group is not None:
                chosen[path] = chosen.get(path) or group
    _require_all(chosen, listed, wanted, suite)
    return chosen


def parse_packages(blocks: Iterable[bytes], *, what: str) -> Iterator[fileref.FileRef]:
    """The packages that a Packages index names."""
    for stanza in _stanzas(blocks, what):
        fields = _single_fields(stanza, what)
        if not fields:
            continue
        path = fileref.normal_path(_text(fields.get(b"filename", b""), what), what=what)
        strongest = next((name for name in (b"sha512", b"sha256", b"sha1") if name in fields), None)
        if strongest is None:
            raise failures.WeakDigestError(f"{what} names {path} without SHA-256 or SHA-512.")
        if b"sha256" in fields:  # the pool's own digest: saves a second one over the same bytes
            strongest = b"sha256"
        checksum = fileref.parse_checksum(strongest.decode(), _text(fields[strongest], what), what=path)
        size = _size(fields.get(b"size", b""), what)
        yield fileref.FileRef(path, size, checksum, fileref.Kind.PACKAGE)


def parse_sources(blocks: Iterable[bytes], *, what: str) -> Iterator[fileref.FileRef]:
    """The files of the source packages that a Sources index names; the .dsc counts as the package."""
    for stanza in _stanzas(blocks, what):
        if not stanza.strip():
            continue
        directory = _DIRECTORY.search(stanza)
        sums = {name.lower(): lines for name, lines in _SOURCE_SUMS.findall(stanza)}
        field = next((f for f in (b"checksums-sha256", b"checksums-sha512", b"checksums-sha1") if f in sums), None)
        if field is None:
            raise failures.WeakDigestError(f"{what} names a source package without SHA-256 checksums.")
        base = _text(directory[1].strip(), what) if directory else ""
        for line in sums[field].split(b"\n"):
            words = line.split(None, 2)
            if len(words) != 3:
                continue
            name = fileref.normal_path(_text(words[2].strip(), what), what=what)
            path = fileref.normal_path(f"{base}/{name}" if base else name, what=what)
            checksum = fileref.parse_checksum(
                field.removeprefix(b"checksums-").decode(), _text(words[0], what), what=path
            )
            kind = fileref.Kind.PACKAGE if path.endswith(".dsc") else fileref.Kind.FURTHER
            yield fileref.FileRef(path, _size(words[1], what), checksum, kind)


def index_kind(path: str) -> str | None:
    """``Packages`` or ``Sources`` when the path is such an index, in whatever compression."""
    return next((kind for kind in ("Packages", "Sources") if _is_index(path, kind)), None)


def _binary_names(listed: release.Release, wanted: source.DebSource) -> frozenset[str]:
    """The architectures to take; "all" comes along where the suite splits it off and any binary one is wanted."""
    chosen = set(wanted.architectures)
    if chosen - {"source"} and "all" in listed.fields.get("architectures", "").split():
        chosen.add("all")
    return frozenset(chosen)


def _group_in_component(path: str, component: str, wanted: source.DebSource, names: frozenset[str]) -> str | None:
    """The group of a path of this component, None when it is not wanted."""
    prefix = component + "/"
    if not path.startswith(prefix):
        return None
    inner = path.removeprefix(prefix)
    directory, _, name = inner.rpartition("/")
    is_source = directory == "source" and "source" in names
    if is_source or (directory.startswith("binary-") and directory.removeprefix("binary-") in names):
        kind = "Sources" if is_source else "Packages"
        is_extra = directory == "binary-all" and "all" not in wanted.architectures
        if _is_index(inner, kind):
            return "" if is_extra else f"{prefix}{directory}/{kind}"
        return "" if name == "Release" else None
    return "" if _is_companion(inner, directory, name, names) else None


def _is_companion(inner: str, directory: str, name: str, names: frozenset[str]) -> bool:
    """Translations, file lists, AppStream data and command names."""
    if directory == "dep11":
        return not name.startswith("Components-") or _names_one(name, "Components-", names)
    is_command_list = directory == "cnf" and _names_one(name, "Commands-", names)
    return directory == "i18n" or is_command_list or _is_contents(inner, "", names)


def _is_contents(path: str, prefix: str, names: frozenset[str]) -> bool:
    return _names_one(path, prefix + "Contents-", names) or _names_one(path, prefix + "Contents-udeb-", names)


def _names_one(name: str, prefix: str, names: frozenset[str]) -> bool:
    return name.startswith(prefix) and re.split(r"[.]", name.removeprefix(prefix), maxsplit=1)[0] in names


def _is_index(path: str, kind: str) -> bool:
    return unpack.plain_name(path).rpartition("/")[2] == kind


def _require_all(chosen: dict[str, str], listed: release.Release, wanted: source.DebSource, suite: str) -> None:
    """Each component must have some wanted index, and each architecture must have one in some component.

    Not each in each: installer components have no sources, and "all" is often not split off.
    """
    groups = set(chosen.values()) - {""}
    found = {group.removesuffix("/Packages").removesuffix("/Sources").rpartition("/")[::2] for group in groups}
    components = {component for component, _ in found}
    names = {directory.removeprefix("binary-") for _, directory in found} | {"all"}
    lacking = [f"component {one}" for one in wanted.components if one not in components]
    lacking += [f"architecture {one}" for one in wanted.architectures if one not in names]
    if lacking:
        raise failures.MetadataInvalidError(
            f"The suite {suite} has no {lacking[0]}; it offers the components "
            f"{listed.fields.get('components', '(not stated)')} for the architectures "
            f"{listed.fields.get('architectures', '(not stated)')}.",
            hint="Correct component and architecture.",
            code="SelectionMissing",
        )


def _stanzas(blocks: Iterable[bytes], what: str) -> Iterator[bytes]:
    """Paragraphs, separated by empty lines (deb822)."""
    rest = b""
    for block in blocks:
        joined = rest + block
        held = b"\r" if joined.endswith(b"\r") else b""  # its line feed comes with the next block
        *whole, rest = joined.removesuffix(held).replace(b"\r\n", b"\n").split(b"\n\n")
        rest += held
        yield from whole
        if len(rest) > _LONGEST_STANZA:
            raise failures.MetadataTooLargeError(f"{what} holds an entry without end.")
    yield rest


def _single_fields(stanza: bytes, what: str) -> dict[bytes, bytes]:
    """The fields that are read; one that comes twice and says two things leaves open what clients would believe."""
    fields: dict[bytes, bytes] = {}
    for name, value in _FIELD.findall(stanza):
        if fields.setdefault(name.lower(), value.strip()) != value.strip():
            raise failures.MetadataInvalidError(
                f"{what} states {name.decode()} twice in one entry: {fields[name.lower()][:80]!r}, {value[:80]!r}."
            )
    return fields


def _size(value: bytes, what: str) -> int | None:
    if not value:
        return None
    return fileref.parse_size(value.decode("latin-1"), what=what)


def _text(value: bytes, what: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as exc:
        raise failures.UnsafePathError(f"{what} names {value!r}, which is no UTF-8 text.") from exc
