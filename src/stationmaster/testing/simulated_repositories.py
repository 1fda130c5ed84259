"""Small repositories made in memory: enough for the engine, which reads metadata and never looks into packages."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
from collections.abc import Callable, Iterable, Mapping
from xml.sax import saxutils

import zstandard

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": lambda content: gzip.compress(content, mtime=0),
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def rpm_repository(
    packages: Mapping[str, bytes],
    *,
    timestamp: int = 1_700_000_000,
    suffix: str = ".gz",
    algorithm: str = "sha256",
    further: Mapping[str, bytes] | None = None,
    primary: bytes | None = None,
) -> dict[str, bytes]:
    """The files of an RPM repository: packages by path, ``further`` data files by type, or a primary of one's own."""
    plain = primary if primary is not None else primary_xml(packages, algorithm)
    data = {"primary": (plain, suffix), **{kind: (content, suffix) for kind, content in (further or {}).items()}}
    files = dict(packages)
    lines = []
    for kind, (content, ending) in data.items():
        packed = PACK[ending](content)
        digest = hashlib.new(algorithm, packed).hexdigest()
        path = f"repodata/{digest[:32]}-{kind}.xml{ending}"
        files[path] = packed
        lines.append(
            f'<data type="{kind}"><checksum type="{algorithm}">{digest}</checksum><location href="{path}"/>'
            f"<timestamp>{timestamp}</timestamp><size>{len(packed)}</size><open-size>{len(content)}</open-size></data>"
        )
    files["repodata/repomd.xml"] = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo">'
        f"<revision>{timestamp}</revision>{''.join(lines)}</repomd>\n"
    ).encode()
    return files


def primary_xml(packages: Mapping[str, bytes], algorithm: str = "sha256") -> bytes:
    """primary.xml for packages by path."""
    lines = [
        f'<package type="rpm"><name>p{number}</name><checksum type="{algorithm}" pkgid="YES">'
        f'{hashlib.new(algorithm, content).hexdigest()}</checksum><size package="{len(content)}" installed="9"/>'
        f"<location href={saxutils.quoteattr(path)}/><format><rpm:license>X</rpm:license></format></package>"
        for number, (path, content) in enumerate(packages.items())
    ]
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<metadata xmlns="http://linux.duke.edu/metadata/common" '
        f'xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="{len(lines)}">{"".join(lines)}</metadata>'
    ).encode()


def packages_text(packages: Mapping[str, bytes]) -> bytes:
    """A Packages index for packages by path."""
    return "\n".join(
        f"Package: p{number}\nVersion: 1\nArchitecture: all\nFilename: {path}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\nDescription: x\n"
        for number, (path, content) in enumerate(packages.items())
    ).encode()


def release_text(
    files: Mapping[str, bytes], *, date: str = "Tue, 14 Nov 2023 22:13:20 UTC", fields: Mapping[str, str] | None = None
) -> bytes:
    """A Release that lists files by their path below it."""
    lines = [f"{name}: {value}" for name, value in (fields or {}).items()]
    lines += [f"Date: {date}", "SHA256:"]
    lines += [f" {hashlib.sha256(content).hexdigest()} {len(content)} {path}" for path, content in files.items()]
    return ("\n".join(lines) + "\n").encode()


def deb_archive(
    packages: Mapping[str, bytes],
    *,
    suite: str = "stable",
    suffixes: Iterable[str] = (".gz", ".xz"),
    date: str = "Tue, 14 Nov 2023 22:13:20 UTC",
    is_by_hash: bool = True,
    fields: Mapping[str, str] | None = None,
) -> dict[str, bytes]:
    """The files of an archive with one suite, component main, architecture amd64; the plain index is only listed."""
    index = packages_text(packages)
    listed = {f"main/binary-amd64/Packages{suffix}": PACK[suffix](index) for suffix in suffixes}
    everything = {"main/binary-amd64/Packages": index, **listed}
    given = {"Suite": suite, "Components": "main", "Architectures": "amd64", **(fields or {})}
    if is_by_hash:
        given["Acquire-By-Hash"] = "yes"
    base = f"dists/{suite}/"
    files = dict(packages) | {base + path: content for path, content in listed.items()}
    files[base + "InRelease"] = release_text(everything, date=date, fields=given)
    return files
