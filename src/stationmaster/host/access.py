"""Whether another user of this host may get to a directory."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path


def first_closed_directory(path: Path, user: str) -> Path | None:
    """The first directory on the way to ``path`` (itself included) that ``user`` may not search, if any.

    Judged by owner, group and mode, as they stand; LookupError when there is no such user. A directory that is not
    there, or that this process cannot look at, is no finding.
    """
    entry = pwd.getpwnam(user)
    groups = set(os.getgrouplist(user, entry.pw_gid))
    for directory in reversed((path.resolve(), *path.resolve().parents)):
        try:
            status = directory.stat()
        except OSError:
            return None
        if entry.pw_uid == 0 or not stat.S_ISDIR(status.st_mode):
            continue
        if status.st_uid == entry.pw_uid:
            needed = stat.S_IXUSR
        else:
            needed = stat.S_IXGRP if status.st_gid in groups else stat.S_IXOTH
        if not status.st_mode & needed:
            return directory
    return None
