"""The side of a balancer that looks to the hub: its newest view of the group, and reporting our own addresses.

In a thread of its own: a hub that is away costs time-outs, and HAProxy must be watched meanwhile. A hub that is away,
or that answers nonsense or an empty group, changes nothing: the last view stays (I9).
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable

from stationmaster.host import clock as host_clock
from stationmaster.model import errors, protocol

_log = logging.getLogger(__name__)

FetchView = Callable[[], protocol.BalancerView]
ReportAddresses = Callable[[tuple[str, ...], tuple[protocol.Ports, ...]], None]
SeenView = Callable[[protocol.BalancerView], None]


@dataclasses.dataclass(frozen=True)
class Pace:
    """How often, in seconds."""

    poll: float = 2.0
    report: float = 30.0


class Follower:
    """Polls until told to stop. ``newest`` is what the hub last said; ``seen`` asks what else is to be asked then.

    ``serves`` are the clients' ports that are in force, those of the followed view first.
    """

    def __init__(
        self,
        fetch_view: FetchView,
        report: ReportAddresses,
        own_addresses: Callable[[], tuple[str, ...]],
        clock: host_clock.Clock,
        pace: Pace,
        seen: SeenView = lambda _: None,
        serves: Callable[[], tuple[protocol.Ports, ...]] = tuple,
    ) -> None:
        self._fetch_view = fetch_view
        self._report = report
        self._own_addresses = own_addresses
        self._clock = clock
        self._pace = pace
        self._seen = seen
        self._serves = serves
        self._reported: object = None
        self._reported_at = float("-inf")
        self._problem = ""
        self.newest: protocol.BalancerView | None = None

    def run(self, stop: threading.Event) -> None:
        """Once every ``pace.poll`` seconds."""
        while not stop.is_set():
            self.poll()
            stop.wait(self._pace.poll)

    def poll(self) -> None:
        """Ask once and report if due; never raises for the hub's sake."""
        try:
            self.newest = self._fetch_view()
            self._report_if_due()
            self._seen(self.newest)
        except errors.StationmasterError as exc:
            self._note(str(exc))
            return
        except Exception:  # noqa: BLE001 - the edge of a thread that must go on
            _log.exception("Asking the hub failed.", extra={"action": "poll"})
            return
        self._note("")

    def _report_if_due(self) -> None:
        own, serves, now = self._own_addresses(), self._serves(), self._clock.monotonic()
        if own and ((own, serves) != self._reported or now - self._reported_at >= self._pace.report):
            self._report(own, serves)
            self._reported, self._reported_at = (own, serves), now

    def _note(self, problem: str) -> None:
        """Say it once when the hub goes, and once when it is back."""
        if problem and problem != self._problem:
            _log.warning("The hub is not followed; the last configuration stays. %s", problem)
        elif self._problem and not problem:
            _log.info("The hub is followed again.")
        self._problem = problem


def is_acceptable(view: protocol.BalancerView, current: protocol.BalancerView | None) -> bool:
    """Whether to go over to ``view``: a hub that lost its stations must not take away a balancer that serves."""
    return (
        current is None or any(one.address for one in view.servers) or not any(one.address for one in current.servers)
    )
