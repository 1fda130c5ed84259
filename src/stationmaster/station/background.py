"""Slow work off the main loop: a few threads, and each piece of work at most once at a time."""

from __future__ import annotations

import concurrent.futures
import logging
import threading
from collections.abc import Callable, Hashable

_log = logging.getLogger(__name__)


class Background:
    """Runs functions that report for themselves. ``close`` waits for none of them."""

    def __init__(self, name: str, threads: int) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._present: set[Hashable] = set()
        self._lock = threading.Lock()

    def start(self, key: Hashable, work: Callable[[], None]) -> bool:
        """Queue ``work``; False when work with this key waits or runs already."""
        with self._lock:
            if key in self._present:
                return False
            self._present.add(key)
        self._pool.submit(self._run, key, work)
        return True

    def close(self) -> None:
        """Start nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, key: Hashable, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # noqa: BLE001 - the edge of a thread: its work reports what it expects by itself
            _log.exception("Background work failed.", extra={"action": str(key)})
        finally:
            with self._lock:
                self._present.discard(key)
