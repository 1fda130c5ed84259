"""Which of several addresses of one name is asked first: the hub's replicas behind one name, a balancer's nodes.

In this order: what answered last; what did not fail lately; what failed longest ago. So whoever asks again after a
failure asks somebody else, and a replica that is dead, cut off or frozen costs one try. Among equals the order is
drawn, so that many machines spread over all; families stay in the order in which the system gives them.

A name server that is slow or away costs nothing once a name was found: what is known is used, and refreshed beside.
"""

from __future__ import annotations

import ipaddress
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence

FRESH_SECONDS = 30.0
FORGIVEN_SECONDS = 30.0  # a failure of so long ago says nothing any more
Resolve = Callable[[str], Sequence[str]]
Shuffle = Callable[[list[str]], None]


def order(found: Sequence[str], answered: str | None, failed_at: Mapping[str, float]) -> list[str]:
    """The addresses of one name, best first. Pure."""
    return sorted(found, key=lambda one: (one in failed_at, failed_at.get(one, 0.0), one != answered))


def resolve_in_order(name: str) -> list[str]:
    """The addresses as the system prefers them, each once; OSError when there are none."""
    return list(dict.fromkeys(str(one[4][0]) for one in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)))


def resolve_or_remember(
    remembered: Callable[[], Mapping[str, Sequence[str]]], resolve: Resolve | None = None
) -> Resolve:
    """A look-up that falls back to what is known from before a restart; OSError when nothing is."""
    ask = resolve or resolve_in_order

    def found(name: str) -> Sequence[str]:
        try:
            return ask(name)
        except OSError:
            known = remembered().get(name.lower().rstrip("."))
            if not known:
                raise
            return known

    return found


class AddressBook:
    """Safe to use from several threads."""

    def __init__(
        self,
        resolve: Resolve = resolve_in_order,
        monotonic: Callable[[], float] = time.monotonic,
        shuffle: Shuffle = random.shuffle,
    ) -> None:
        self._resolve = resolve
        self._monotonic = monotonic
        self._shuffle = shuffle
        self._lock = threading.Lock()
        self._found: dict[str, tuple[list[str], float]] = {}
        self._answered: dict[str, str] = {}
        self._failed: dict[str, dict[str, float]] = {}
        self._asked: set[str] = set()

    def addresses(self, name: str) -> list[str]:
        """Best first; OSError when the name was never found."""
        if is_literal(name):
            return [name.strip("[]")]
        with self._lock:
            known = self._found.get(name)
        if known is None:
            self._look_up(name)
        elif self._monotonic() - known[1] > FRESH_SECONDS:
            self._refresh(name)
        with self._lock:
            return order(self._found[name][0], self._answered.get(name), self._failed.get(name, {}))

    def answered(self, name: str, address: str) -> None:
        """This one is well."""
        with self._lock:
            self._answered[name] = address
            self._failed.get(name, {}).pop(address, None)

    def failed(self, name: str, address: str) -> None:
        """This one did not answer, or could not decide."""
        with self._lock:
            at = self._monotonic()
            recent = {one: when for one, when in self._failed.get(name, {}).items() if at - when < FORGIVEN_SECONDS}
            self._failed[name] = {**recent, address: at}
            if self._answered.get(name) == address:
                del self._answered[name]

    def answering(self, name: str) -> str:
        """The address that answered last, if it did not fail since."""
        with self._lock:
            return self._answered.get(name, "")

    def has_other(self, name: str) -> bool:
        """Whether an address failed, and another is left that did not fail lately."""
        with self._lock:
            failed = self._failed.get(name, {})
            return bool(failed) and any(one not in failed for one in self._found.get(name, ([], 0.0))[0])

    def has_several(self, name: str) -> bool:
        """Whether there is a choice at all."""
        with self._lock:
            return len(self._found.get(name, ([], 0.0))[0]) > 1

    def _refresh(self, name: str) -> None:
        with self._lock:
            if name in self._asked:
                return
            self._asked.add(name)
        threading.Thread(target=self._look_up_again, args=(name,), name="names", daemon=True).start()

    def _look_up_again(self, name: str) -> None:
        try:
            self._look_up(name)
        except OSError:  # what is known stays, and is asked for again later
            with self._lock:
                self._found[name] = (self._found[name][0], self._monotonic())
        finally:
            with self._lock:
                self._asked.discard(name)

    def _look_up(self, name: str) -> None:
        found = _spread(self._resolve(name), self._shuffle)
        with self._lock:
            former = self._found.get(name, ([], 0.0))[0]
            kept = former if set(former) == set(found) else found
            self._found[name] = (kept, self._monotonic())


def is_literal(name: str) -> bool:
    """Whether it is an address already."""
    try:
        ipaddress.ip_address(name.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True


def _spread(found: Sequence[str], shuffle: Shuffle) -> list[str]:
    """Shuffled within each family; the family that came first stays first."""
    first = [one for one in found if (":" in one) == (":" in found[0])]
    others = [one for one in found if one not in first]
    for addresses in (first, others):
        shuffle(addresses)
    return first + others
