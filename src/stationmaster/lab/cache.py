"""What labs keep for later ones: entries that are whole or absent, shared by hard links."""

from __future__ import annotations

import os
from pathlib import Path

from stationmaster.host import files


def keep(building: Path, kept: Path) -> None:
    """Move a finished cache entry to its name; when another run was faster, its entry is as good."""
    try:
        building.rename(kept)
    except OSError:
        if not kept.is_dir():
            raise


def link_or_copy(effects: files.Files, source: Path, target: Path) -> None:
    """Hard link where both lie on one file system."""
    if os.stat(source).st_dev == os.stat(target.parent).st_dev:  # noqa: PTH116
        effects.link(source, target)
    else:
        effects.copy(source, target)
