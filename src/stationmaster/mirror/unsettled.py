"""Content that may not have reached the disk: what a power cut during a sync leaves must not be believed.

Packages enter the pool without being flushed one by one; a publish flushes everything at once before it shows anything.
In between, a mark names the kernel that wrote. A mark of another kernel means that its pages may be lost: names with
the right size and other bytes. Then content that no held generation vouches for is digested before it is believed.
"""

from __future__ import annotations

from pathlib import Path

from stationmaster.host import files as host_files
from stationmaster.mirror import owners, volume

_MARK = "unsettled"


def mark(files: host_files.Files, incoming: Path) -> None:
    """Say, durably, that content begins to come; the mark goes with the directory when the sync has published."""
    if host_files.read_text_or_none(incoming / _MARK) is None:  # an older one says more: it stays
        files.write_atomic(incoming / _MARK, owners.boot_id().encode())


def is_doubtful(place: volume.Volume) -> bool:
    """Whether some sync on the volume ended with its kernel; one on another host counts, for want of knowledge."""
    here = owners.boot_id()
    marks = (place.control / "incoming").glob(f"*/{_MARK}")
    return any(host_files.read_text_or_none(path) not in (None, here) for path in marks)
