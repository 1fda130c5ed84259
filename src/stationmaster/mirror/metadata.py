"""Staging of metadata: each file into the generation's own tree, from a former run, a held generation or upstream."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from stationmaster.host import files as host_files
from stationmaster.mirror import failures, fileref, guards, manifest, pool, transfer, upstream, volume

_METADATA = fileref.Kind.METADATA.value
Told = Callable[[int], None]


class MetadataStager:
    """Fills the tree of one generation. Files are copied from held generations, never linked: times differ (ETag)."""

    def __init__(
        self,
        files: host_files.Files,
        place: volume.Volume,
        reach: upstream.Reach,
        *,
        directory: Path,
    ) -> None:
        self._files = files
        self._volume = place
        self._reach = reach
        self._directory = directory
        self._tree = directory / "tree"
        self._lock = threading.Lock()

    def write_documents(self, root: upstream.Root) -> list[manifest.Entry]:
        """The root documents, as they came."""
        entries = []
        for document in root.documents:
            path = self._tree / document.path
            self._volume.make_directory(path.parent)
            self._files.write_atomic(path, document.content, durable=False)  # a publish flushes all at once
            self._files.set_mtime(path, root.timestamp)
            digest = hashlib.sha256(document.content).hexdigest()
            entries.append(manifest.Entry(document.path, len(document.content), digest, _METADATA))
        return entries

    def bring_all(
        self, root: upstream.Root, held: Mapping[str, Path], *, threads: int, told: Told
    ) -> list[manifest.Entry]:
        """Every file that the root names and the upstream has; ``held`` maps sha256 to files of a held generation."""
        guards.require_distinct_paths(root)
        entries: list[manifest.Entry] = []
        present: set[str] = set()

        def work(ref: fileref.FileRef) -> None:
            sha256 = self._bring(ref, held, root.timestamp)
            if sha256 is None:
                told(0)
                return
            target = self._tree / ref.path
            size = target.stat().st_size
            paths = dict.fromkeys((ref.path, *ref.also_at))
            for path in ref.also_at:
                self._volume.make_directory((self._tree / path).parent)
                pool.link_or_copy(self._files, target, self._tree / path, mtime=root.timestamp)
            with self._lock:
                present.add(ref.group)
                entries.extend(manifest.Entry(path, size, sha256, _METADATA) for path in paths)
            told(size)

        transfer.run_parallel(root.metadata, work, threads=threads)
        lacking = sorted({ref.group for ref in root.metadata if ref.group} - present)
        if lacking:
            raise failures.UnavailableError(
                f"The upstream lists {lacking[0]}, but has it in none of the listed compressions.",
                hint="The last good generation stays. Report it to those who run the upstream.",
                status=404,
            )
        return entries

    def _bring(self, ref: fileref.FileRef, held: Mapping[str, Path], timestamp: int) -> str | None:
        target = self._tree / ref.path
        self._volume.make_directory(target.parent)
        if _is_whole(target, ref):
            sha256 = fileref.digest_of(target)
        else:
            # Named by path and content: two paths may have equal content, and are fetched at the same time.
            name = hashlib.sha256(f"{ref.path}\n{ref.checksum}".encode()).hexdigest()
            part = self._directory / f"{name}.part"
            found = self._copy_held(ref, held, part)
            if found is None:
                try:
                    found = self._reach.fetch_metadata(ref, part)
                except failures.UnavailableError as exc:
                    if ref.is_optional and exc.is_absent:
                        return None
                    raise
            sha256 = found
            self._files.set_mode(part, 0o644)
            self._files.rename(part, target)
        self._files.set_mtime(target, timestamp)
        return sha256

    def _copy_held(self, ref: fileref.FileRef, held: Mapping[str, Path], part: Path) -> str | None:
        source = held.get(ref.checksum.value)
        if source is None or not source.exists():
            return None
        self._files.copy(source, part)
        if _is_whole(part, ref):
            return ref.checksum.value
        self._files.remove(part)
        return None


def held_metadata(place: volume.Volume, source: str, generation: str) -> dict[str, Path]:
    """The metadata files of a held generation by sha256; what is unchanged need not be fetched again."""
    tree = place.tree(source, generation)
    try:
        entries = manifest.read_entries(place.manifest(source, generation))
        return {entry.d: tree / entry.p for entry in entries if entry.k == _METADATA}
    except (OSError, failures.ManifestDamagedError):
        return {}


def _is_whole(path: Path, ref: fileref.FileRef) -> bool:
    try:
        if ref.size is not None and path.stat().st_size != ref.size:
            return False
        return fileref.digest_of(path, ref.checksum.algorithm) == ref.checksum.value
    except OSError:
        return False
