"""Several base addresses with the same content, in order of preference: which is asked next, and which no longer.

One that fails, sends other bytes than promised or answers with a web page is put aside; so is one that lacks, for the
third time, what another has. Those put aside are asked only for what all others failed to give: two mirrors with one
broken file each still make a whole. A root that is read anew forgives all.
"""

from __future__ import annotations

import copy
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from stationmaster.mirror import failures
from stationmaster.model import errors

_MOST_MISSES = 3
_Result = TypeVar("_Result")


class Mirrors:
    """The base addresses of one sync; used by several threads."""

    def __init__(self, bases: Sequence[str]) -> None:
        self.bases = tuple(dict.fromkeys(bases))
        self._aside: dict[str, errors.StationmasterError] = {}
        self._misses: Counter[str] = Counter()
        self._lock = threading.Lock()

    def in_order(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The addresses to ask, and those put aside."""
        with self._lock:
            if not self._aside:
                return self.bases, ()
            return (
                tuple(base for base in self.bases if base not in self._aside),
                tuple(base for base in self.bases if base in self._aside),
            )

    def reset(self, bases: Iterable[str]) -> None:
        """Begin anew with these addresses."""
        with self._lock:
            self.bases = tuple(dict.fromkeys(bases))
        self.forgive()

    def forgive(self) -> None:
        """Ask all again: the upstream changed, and what was wrong may be right now."""
        with self._lock:
            self._aside.clear()
            self._misses.clear()

    def put_aside(self, base: str, why: errors.StationmasterError) -> None:
        """Ask it no more before the others; the only one there is stays where it is."""
        with self._lock:
            if len(self.bases) > 1:
                self._aside.setdefault(base, why)

    def readmit(self, bases: Iterable[str]) -> None:
        """Ask these like the others again."""
        with self._lock:
            for base in bases:
                self._aside.pop(base, None)

    def first(self, ask: Callable[[str, bool], _Result], *, is_optional: bool = False) -> _Result:
        """What the first address gives for which ``ask`` does not raise an UpstreamError, else an error naming each.

        ``ask`` gets the address, and whether to be hurried: others are there to be asked. What is optional, and absent
        from all that are not put aside, is absent.
        """
        failed: list[tuple[str, errors.UpstreamError]] = []
        fresh, aside = self.in_order()
        for base in fresh + aside:
            if is_optional and base in aside and failed and all(_is_absent(exc) for _, exc in failed):
                break
            try:
                found = ask(base, base not in fresh[-1:])
            except errors.UpstreamError as exc:
                if not _is_absent(exc):
                    self.put_aside(base, exc)
                failed.append((base, exc))
            else:
                self._count_misses(failed)
                return found
        raise _error_of_all(failed)

    def _count_misses(self, failed: Sequence[tuple[str, errors.UpstreamError]]) -> None:
        for base, exc in failed:
            if _is_absent(exc):
                self._misses[base] += 1
                if self._misses[base] >= _MOST_MISSES:
                    self.put_aside(base, exc)


def _is_absent(exc: errors.UpstreamError) -> bool:
    return isinstance(exc, failures.UnavailableError) and exc.is_absent


def _error_of_all(failed: Sequence[tuple[str, errors.UpstreamError]]) -> errors.UpstreamError:
    """One error for all: of the kind that says most about what to do, with the words of each.

    Other bytes and absent files may mean that the upstream changed meanwhile; they come before a mirror that is away.
    """
    found = [exc for _, exc in failed]
    if len(found) == 1:
        return found[0]
    changed = [exc for exc in found if isinstance(exc, failures.ChecksumError)]
    absent = [exc for exc in found if _is_absent(exc)]
    chief = copy.copy((changed or absent or found)[0])
    words = " ".join(f"({number}) {exc.message}" for number, exc in enumerate(found, 1))
    chief.message = f"None of {len(found)} addresses gave what was asked: {words}"
    return chief
