"""What of the kernel's ways to the disk the standard library does not offer: syncfs(2) and sync_file_range(2)."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_SYNC_FILE_RANGE_WRITE = 2
_libc = ctypes.CDLL(None, use_errno=True)
_sync_file_range = getattr(_libc, "sync_file_range", None)
if _sync_file_range is not None:
    _sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def flush_file_system(path: Path) -> None:
    """Wait until everything written so far to the file system that holds ``path`` is on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        call = getattr(_libc, "syncfs", None)
        if call is None:
            os.sync()
        elif call(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


def begin_flush(descriptor: int) -> None:
    """Have the disk begin to write a file, without waiting. A hint: where it is not known, nothing happens."""
    if _sync_file_range is not None:
        _sync_file_range(descriptor, 0, 0, _SYNC_FILE_RANGE_WRITE)  # from 0, and 0 for: to the end
