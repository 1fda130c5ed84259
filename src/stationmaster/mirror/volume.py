"""The volume: a mirror directory that carries a marker (I11), and the places below it.

Nothing is ever made below a directory whose marker is not there: an unmounted mount point is not filled.
"""

from __future__ import annotations

import dataclasses
import datetime
import errno
from pathlib import Path

import msgspec

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.mirror import failures

FORMAT_VERSION = 1
_PLACES = ("seq", "stations", "writers", "groups", "incoming", "locks", "sources")


class Marker(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The content of ``.stationmaster/volume.json``; ``hub`` is a tenancy OCID, or empty for the engine alone."""

    format_version: int
    id: str
    hub: str
    created: str


@dataclasses.dataclass(frozen=True)
class Volume:
    """An opened mirror directory. ``require`` is asked again before each step that must not fill a bare mount point.

    ``epoch`` keeps the downloads of a writer apart from those of one that it took over from (``lock``).
    """

    files: host_files.Files
    root: Path
    marker: Marker
    epoch: int = 0

    @property
    def id(self) -> str:
        """The volume's identity; stations that show the same one share storage."""
        return self.marker.id

    @property
    def control(self) -> Path:
        """The directory of marker, records and locks."""
        return self.root / ".stationmaster"

    def incoming(self, source: str) -> Path:
        """Where the downloads of a source lie until they are whole; one writer per source uses it."""
        return self.control / "incoming" / (f"{source}~{self.epoch}" if self.epoch else source)

    def pool_path(self, algorithm: str, digest: str) -> Path:
        """Where content with this digest lies. Other algorithms than sha256 are links that name the sha256."""
        return Path(self.pool_name(algorithm, digest))

    def pool_name(self, algorithm: str, digest: str) -> str:
        """``pool_path`` as a plain string: asked for each package, where making a path costs more than looking."""
        return f"{self.root}/pool/{algorithm}/{digest[:2]}/{digest}"

    def generations(self, source: str) -> Path:
        """The directory of a source's generations."""
        return self.root / "generations" / source

    def generation(self, source: str, generation: str) -> Path:
        """The directory of one generation: ``manifest.jsonl``, ``held.json`` and ``tree/``."""
        return self.generations(source) / generation

    def tree(self, source: str, generation: str) -> Path:
        """Metadata and overlays of one generation at upstream's relative paths."""
        return self.generation(source, generation) / "tree"

    def manifest(self, source: str, generation: str) -> Path:
        """The manifest of one generation."""
        return self.generation(source, generation) / "manifest.jsonl"

    def published(self, source: str) -> Path:
        """What a web server serves: a link to the source's present site."""
        return self.root / "published" / source

    def sites(self, source: str) -> Path:
        """The sites of a source: directories of package links, of which ``published`` names one."""
        return self.root / "published" / ".sites" / source

    def require(self) -> None:
        """I11: raise NotAVolumeError unless the marker that was found at opening is still there."""
        present = _read_marker(self.root)
        if present is None or present.id != self.id:
            raise failures.NotAVolumeError(
                f"{self.root} no longer carries the marker of volume {self.id}: it is unmounted or was replaced.",
                hint="Mount the volume again; nothing was written meanwhile.",
            )

    def make_directory(self, path: Path) -> None:
        """Make a directory below the volume, and its parents, but never the volume itself (I11)."""
        if not path.is_dir():
            self.require()
            self.files.make_directory(path)
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise failures.NotAVolumeError(
                f"{path} leads to {path.resolve()}, outside of the volume: a link was put there.",
                hint="Remove the link. Nothing was written behind it.",
                code="LinkOutOfVolume",
            )

    def space(self) -> host_files.Space:
        """Room on the volume's file system."""
        return self.files.space(self.root)


def init_volume(files: host_files.Files, root: Path, clock: clocks.Clock, *, hub: str = "") -> Volume:
    """Make an empty directory a volume; an existing volume is refused, as is a directory with other content."""
    if _read_marker(root) is not None:
        raise failures.NotAVolumeError(
            f"{root} is a volume already.", hint="Use it as it is, or name an empty directory.", code="VolumeExists"
        )
    if root.exists() and (not root.is_dir() or any(entry.name != "lost+found" for entry in root.iterdir())):
        raise failures.NotAVolumeError(
            f"{root} is not an empty directory, so it cannot become a volume.", hint="Name an empty or new directory."
        )
    with failures.translated_os_errors(root):
        for place in _PLACES:
            files.make_directory(root / ".stationmaster" / place)
        for place in ("pool/sha256", "generations", "published/.sites"):
            files.make_directory(root / place)
        import uuid

        created = clock.now().astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        marker = Marker(format_version=FORMAT_VERSION, id=str(uuid.uuid4()), hub=hub, created=created)
        made = files.create_exclusive(_marker_path(root), msgspec.json.encode(marker))
    if not made:  # somebody else made it between our look and our link: theirs holds
        return open_volume(files, root, hub=hub)
    return Volume(files, root, marker)


def open_volume(
    files: host_files.Files, root: Path, *, expected_id: str | None = None, hub: str | None = None
) -> Volume:
    """Open a marked directory. ``hub`` None accepts any; else a volume of another hub is refused (R10)."""
    marker = _read_marker(root)
    if marker is None:
        raise failures.NotAVolumeError(
            f"{root} is not a mirror volume: it has no .stationmaster/volume.json.",
            hint=f"Run `stationmaster mirror init --dest {root}` if it should be one, or mount it.",
        )
    if marker.format_version != FORMAT_VERSION:
        raise failures.NotAVolumeError(
            f"{root} has format {marker.format_version}; this program knows format {FORMAT_VERSION}.",
            hint="Use the version of Stationmaster that wrote it.",
        )
    if expected_id is not None and marker.id != expected_id:
        raise failures.NotAVolumeError(
            f"{root} carries volume {marker.id}, expected was {expected_id}.", hint="Mount the right volume."
        )
    if hub is not None and marker.hub not in ("", hub):
        raise failures.NotAVolumeError(
            f"{root} belongs to the hub of tenancy {marker.hub}, not to {hub}.",
            hint="Give this station a directory of its own.",
        )
    return Volume(files, root, marker)


def renew_id(files: host_files.Files, volume: Volume) -> Volume:
    """Give a volume that was made by copying another one an id of its own (R10); what it holds stays."""
    import uuid

    marker = msgspec.structs.replace(volume.marker, id=str(uuid.uuid4()))
    with failures.translated_os_errors(volume.root):
        files.write_atomic(_marker_path(volume.root), msgspec.json.encode(marker), mode=0o644)
    return Volume(files, volume.root, marker)


def _marker_path(root: Path) -> Path:
    return root / ".stationmaster" / "volume.json"


def _read_marker(root: Path) -> Marker | None:
    path = _marker_path(root)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Marker)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise failures.NotAVolumeError(
            f"Cannot read {path}: {exc.strerror or errno.errorcode.get(exc.errno or 0, 'unknown error')}.",
            hint="Check the storage behind it.",
        ) from exc
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise failures.NotAVolumeError(f"{path} is damaged: {exc}.", hint="Restore it from another copy.") from exc
