"""What the kernel lets this process have."""

from __future__ import annotations

import resource


def raise_open_files(wanted: int = 65536) -> int:
    """Allow as many open files and connections as the hard limit does, up to ``wanted``; what is allowed now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        return allowed
    return soft
