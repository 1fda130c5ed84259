"""Paths that every engine's configuration can carry."""

from __future__ import annotations

import re
from pathlib import Path

from stationmaster.model import errors

_PLAIN_PATH = re.compile(r"/[^\x00-\x20\x7f-\xa0\"'$;{}\\#*?]*")


def require_plain_path(path: Path, *, what: str) -> None:
    """Neither nginx nor squid can quote every character; a path is absolute and plain, or refused by name."""
    if not _PLAIN_PATH.fullmatch(str(path)):
        raise errors.CallerError(
            f"{what} {str(path)!r} must be an absolute path without spaces, quotes and $ ; {{ }} \\ # * ?",
            hint="Choose another directory; nginx and squid cannot be given this one.",
        )
