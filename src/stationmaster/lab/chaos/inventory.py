"""Looks at every byte that a station serves: what an index names must be there, whole, by its digest (I4, I13).

Reads as a client does, by its own few lines of code, so that a mistake of the engine is not repeated here.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping

import msgspec
import zstandard

from stationmaster.lab import machines
from stationmaster.lab.world import DEB, RPM, World

_REPO = "{http://linux.duke.edu/metadata/repo}"
_COMMON = "{http://linux.duke.edu/metadata/common}"
_SUITE = "dists/lab"
_TIMEOUT = 15.0
_NOT_FOUND = re.compile(
    r"\"(?:GET|HEAD) (?P<path>/g/\S+(?:\.rpm|\.deb|/by-hash/\S+|/repodata/[0-9a-f]{32,}-\S+)) [^\"]*\" 404 "
)


class _Reader:
    """One station's direct HTTP port, asked from its own host."""

    def __init__(self, station: machines.Station) -> None:
        self._station = station
        self.faults: list[str] = []
        self.files = 0

    def get(self, path: str) -> bytes | None:
        """The whole body; None, and a fault noted, when it was not answered 200."""
        try:
            status, body = self._station.on.call(lambda: _get(self._station, path))
        except (OSError, http.client.HTTPException) as exc:
            self.faults.append(f"{self._station.on.name}: {path} was not answered: {exc!r}")
            return None
        self.files += 1
        if status != 200:
            self.faults.append(f"{self._station.on.name}: {path} was answered {status}")
            return None
        return body

    def get_checked(self, path: str, kind: str, wanted: str) -> bytes:
        """The body if its digest is right, else nothing, and a fault noted."""
        body = self.get(path)
        if body is None:
            return b""
        found = hashlib.new(kind, body).hexdigest()
        if found != wanted:
            self.faults.append(f"{self._station.on.name}: {path} has {kind} {found}, its index says {wanted}")
            return b""
        return body


def inspect(station: machines.Station, sources: Mapping[str, str], newest: Mapping[str, tuple[str, bytes]]) -> _Reader:
    """Everything that a station's lists lead to; ``newest`` is what upstream's roots should be equal to."""
    reader = _Reader(station)
    for kind, source_id in sources.items():
        listed = reader.get(f"/m/{source_id}")
        if listed is None:
            continue
        base = "/" + listed.decode().strip().split("/", 3)[3]
        path, expected = newest[source_id]
        root = reader.get(base + path)
        if root is None:
            continue
        if root != expected:
            reader.faults.append(f"{station.on.name}: {base}{path} is not what upstream has")
        names = {RPM: _rpm_files, DEB: _deb_files}[kind](reader, base, root)
        for name, digest_kind, digest in names:
            reader.get_checked(base + name, digest_kind, digest)
    return reader


def _rpm_files(reader: _Reader, base: str, root: bytes) -> Iterator[tuple[str, str, str]]:
    reader.get(f"{base}repodata/repomd.xml.asc")
    for entry in ET.fromstring(root).iter(f"{_REPO}data"):  # noqa: S314  our own upstream's
        location, checksum = entry.find(f"{_REPO}location"), entry.find(f"{_REPO}checksum")
        assert location is not None  # noqa: S101  for the type checker
        assert checksum is not None  # noqa: S101
        assert checksum.text  # noqa: S101
        path, kind = location.attrib["href"], checksum.attrib["type"]
        body = reader.get_checked(base + path, kind, checksum.text)
        if entry.attrib["type"] == "primary" and body:
            yield from _rpm_packages(_unpacked(path, body))


def _rpm_packages(primary: bytes) -> Iterator[tuple[str, str, str]]:
    for package in ET.fromstring(primary).iter(f"{_COMMON}package"):  # noqa: S314
        location, checksum = package.find(f"{_COMMON}location"), package.find(f"{_COMMON}checksum")
        assert location is not None  # noqa: S101
        assert checksum is not None  # noqa: S101
        assert checksum.text  # noqa: S101
        yield location.attrib["href"], checksum.attrib["type"], checksum.text


def _deb_files(reader: _Reader, base: str, root: bytes) -> Iterator[tuple[str, str, str]]:
    lines = root.decode().split("SHA256:\n", 1)[1].splitlines()
    for line in lines:
        if not line.startswith(" "):
            break
        digest, _, name = line.split()
        if not name.endswith("Packages.gz"):
            continue
        directory = name.rpartition("/")[0]
        yield f"{_SUITE}/{directory}/by-hash/SHA256/{digest}", "sha256", digest
        index = gzip.decompress(reader.get_checked(f"{base}{_SUITE}/{name}", "sha256", digest) or gzip.compress(b""))
        for stanza in index.decode().split("\n\n"):
            fields = dict(row.split(": ", 1) for row in stanza.splitlines() if ": " in row and row[0] != " ")
            if "Filename" in fields:
                yield fields["Filename"], "sha256", fields["SHA256"]


def _unpacked(path: str, body: bytes) -> bytes:
    if path.endswith(".zst"):
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return gzip.decompress(body)


def _get(station: machines.Station, path: str) -> tuple[int, bytes]:
    link = http.client.HTTPConnection(station.on.address, station.http_port, timeout=_TIMEOUT)
    try:
        link.request("GET", path)
        answer = link.getresponse()
        return answer.status, answer.read()
    finally:
        link.close()


def conflicting_records(world: World) -> list[str]:
    """R1: one number of a source names one generation, on whichever volume it was recorded."""
    seen: dict[tuple[str, int], str] = {}
    found = []
    for name, station in world.stations.items():
        for path in sorted((station.volume / ".stationmaster" / "seq").glob("*/*")):
            content = msgspec.json.decode(path.read_bytes())
            key = (path.parent.name, content["number"])
            if seen.setdefault(key, content["generation"]) != content["generation"]:
                found.append(f"{name}: number {key[1]} of {key[0]} is {content['generation']}, elsewhere {seen[key]}")
    return found


def answered_missing(world: World) -> list[str]:
    """Each 404 that a client got for something an index had named to it, from the stations' own logs."""
    found = []
    for name, station in world.stations.items():
        for log in sorted((station.state / "log").glob("nginx-access.log*")):
            for line in log.read_text(errors="replace").splitlines():
                match = _NOT_FOUND.search(line)
                if match:
                    found.append(f"{name}: 404 for {match['path']}")
    return found
