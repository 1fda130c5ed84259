"""Talk with the hub: the heartbeat's thread, and the few other calls. Losing the hub changes nothing here (I9).

The heartbeat runs on a thread of its own and sends what the board holds, so that no slow work delays it. The time that
counts for readiness is when a heartbeat that was answered was *sent* (R2). Where a forward proxy is set the hub is
reached through it; after a failure the next try goes another way (`ways`): without it, so that a wrong setting can be
corrected, then through the proxy of a peer, so that a station which alone lost the hub stays an equal of the others.
"""

from __future__ import annotations

import dataclasses
import logging
import random
import threading
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric import rsa

from stationmaster.api_client import keys, session
from stationmaster.host import address_book
from stationmaster.host import clock as clocks
from stationmaster.host import http as host_http
from stationmaster.model import errors, protocol, signing
from stationmaster.station import board as boards
from stationmaster.station import config as configs
from stationmaster.station import observe, orders, visible_record
from stationmaster.station import snapshot as snapshots
from stationmaster.station import ways as station_ways

_log = logging.getLogger(__name__)
BASE = "/stationmaster/v1/stations"
_FIRST_SECONDS = 2.0
_LEAST_SECONDS = 0.25


class HubLink:
    """Signed calls of one station. ``remembered`` are addresses by name, for a time without name service (I9)."""

    def __init__(
        self,
        config: configs.StationConfig,
        state: configs.StateDirectory,
        clock: clocks.Clock,
        remembered: Callable[[], Mapping[str, tuple[str, ...]]] = dict,
    ) -> None:
        self._book = address_book.AddressBook(address_book.resolve_or_remember(remembered))
        self._config = config
        self._clock = clock
        self._ca = state.ca if state.ca.exists() and state.ca.stat().st_size else None
        self._key: rsa.RSAPrivateKey = keys.load_private_key(state.key)
        self._key_id = signing.KeyId(
            config.tenancy_id, config.managed_instance_id, keys.fingerprint(self._key.public_key())
        )
        self._sessions: dict[str | None, session.Session] = {}
        self._connections: dict[str | None, host_http.Http] = {}
        self._choice = station_ways.Choice()
        self._peer = ""
        self.hub_address = ""

    def heartbeat(
        self, message: protocol.StationHeartbeat, desired: protocol.StationDesired | None
    ) -> protocol.HeartbeatAnswer:
        """One heartbeat. StationmasterError when it was not answered."""
        ways = self._ways(desired)
        way = self._choice.present(ways, self._clock.monotonic())
        path, timeout = f"{BASE}/{self._config.station_id}/heartbeat", station_ways.TIMEOUT_SECONDS
        try:
            answer = (
                self._session(way).request("POST", path, body=message, timeout=timeout).decode(protocol.HeartbeatAnswer)
            )
        except errors.PeerError:
            is_other_left = self._connections[way.proxy].has_other_address(self._config.hub_url)
            self._choice = self._choice.failed(way, ways, self._clock.monotonic(), is_other_left=is_other_left)
            raise
        self._choice = self._choice.answered(way, self._clock.monotonic())
        if way.proxy is None:
            self.hub_address = self._connections[way.proxy].answering_address(self._config.hub_url)
        self._tell(way)
        return answer

    @property
    def is_by_peer(self) -> bool:
        """Whether the last answer came through a peer."""
        return bool(self._peer)

    @property
    def problem(self) -> protocol.Problem | None:
        """Said while the hub answers through a peer only."""
        if not self._peer:
            return None
        message = f"The hub is out of this station's reach; it is spoken with through the proxy of {self._peer}."
        return protocol.Problem(code="HubThroughPeer", message=message)

    def sign_certificate(self, request: str, desired: protocol.StationDesired | None) -> str:
        """The chain for a certificate request."""
        body = protocol.CertificateRequest(request=request)
        path = f"{BASE}/{self._config.station_id}/certificate"
        way = self._choice.present(self._ways(desired), self._clock.monotonic())
        return self._session(way).request("POST", path, body=body).decode(protocol.CertificateAnswer).chain

    def _ways(self, desired: protocol.StationDesired | None) -> tuple[station_ways.Way, ...]:
        forward_proxy = desired.forward_proxy if desired else self._config.forward_proxy
        return station_ways.ways_of(self._config.hub_url, forward_proxy, desired)

    def _tell(self, way: station_ways.Way) -> None:
        if way.peer != self._peer:
            self._peer = way.peer
            _log.info("The way to the hub changed.", extra={"through": way.peer or "its own"})

    def _session(self, way: station_ways.Way) -> session.Session:
        if way.proxy not in self._sessions:
            connection = host_http.Http(ca_file=self._ca, proxy_url=way.proxy, connections_per_host=2, book=self._book)
            self._connections[way.proxy] = connection
            self._sessions[way.proxy] = session.Session(
                self._config.hub_url, connection, self._clock, key_id=self._key_id, key=self._key
            )
        return self._sessions[way.proxy]


def spread(seconds: float, drawn: float) -> float:
    """A tenth more or less: stations that were started together, or lost the hub together, do not stay in step."""
    return seconds * (0.9 + 0.2 * drawn)


class HeartbeatThread:
    """Sends the station's state again and again, and puts what the hub answers on the board."""

    def __init__(
        self,
        link: HubLink,
        board: boards.Board,
        clock: clocks.Clock,
        compose: Callable[[], protocol.StationHeartbeat],
        records: visible_record.Reader,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._draw = draw
        self._records = records
        self._link = link
        self._board = board
        self._clock = clock
        self._compose = compose
        self._wake = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Until told to stop."""
        while not stop.is_set():
            begun = self._clock.monotonic()
            try:
                self.beat()
            except Exception:  # noqa: BLE001 - the edge of a thread that must go on
                _log.exception("A heartbeat failed.", extra={"action": "heartbeat"})
            desired = self._board.read().desired
            pause = spread(desired.heartbeat_seconds if desired else _FIRST_SECONDS, self._draw())
            stop.wait(_LEAST_SECONDS)
            self._wake.wait(max(0.0, pause - (self._clock.monotonic() - begun)))
            self._wake.clear()

    def wake(self) -> None:
        """Something the hub should know at once has changed, or it is time to end."""
        self._wake.set()

    def beat(self) -> None:
        """One heartbeat and what follows from its answer."""
        desired = self._board.read().desired
        sent_at, time_sent = self._clock.monotonic(), self._clock.now()
        try:
            answer = self._link.heartbeat(self._compose(), desired)
        except errors.StationmasterError as exc:
            self._refused(exc)
            return
        former = self._board.read().contact
        if former.problem is not None or former.confirmed_at is None:
            _log.info("The hub confirms this station.")
        contact = snapshots.Contact(
            confirmed_at=sent_at,
            time_confirmed=time_sent,
            is_in_rotation=answer.is_in_rotation,
            skew_seconds=abs((answer.time_received - time_sent).total_seconds()),
            is_by_peer=self._link.is_by_peer,
            hub_address=self._link.hub_address,
        )
        self._board.change(lambda present: with_answer(present, answer, contact))
        if answer.record is not None:
            self._take(answer.record)

    def _take(self, signed: protocol.SignedRecord) -> None:
        """The signed record of the group (R12); the former one stays in force when another than the hub's CA signed."""
        try:
            view = self._records.read(visible_record.encoded(signed))
        except visible_record.RecordRefusedError as exc:
            message = f"The visible record that the hub sent is refused: {exc.message}. Register this station anew."
            self._board.update(record_problem=protocol.Problem(code=exc.code, message=message))
            return
        now = self._clock.now()
        self._board.change(
            lambda present: visible_record.taken(dataclasses.replace(present, record_problem=None), view, now)
        )

    def _refused(self, exc: errors.StationmasterError) -> None:
        contact = self._board.read().contact
        problem = observe.problem_of(exc)
        if contact.problem is None or contact.problem.code != problem.code:
            _log.warning(problem.message, extra={"action": "heartbeat", "code": problem.code})
        # The hub knew this host's key, or it would not have said so: the station was deleted. A hub that is away later
        # takes nothing of that back.
        is_gone = contact.is_gone or (
            isinstance(exc, session.HubRefusedError) and exc.code == errors.NotFoundError.code
        )
        self._board.update(contact=dataclasses.replace(contact, problem=problem, is_gone=is_gone))


def with_answer(
    present: snapshots.Snapshot, answer: protocol.HeartbeatAnswer, contact: snapshots.Contact
) -> snapshots.Snapshot:
    """The snapshot after an answer: desired state when it came along, visible numbers only upwards (R8). Pure."""
    told = boards.merge_visible(present.told, tuple(answer.visible))
    sent_at = contact.confirmed_at if contact.confirmed_at is not None else float("-inf")
    allowed = orders.after_answer(present.orders, answer, sent_at, present.volume_id)
    notices = tuple(one for one in present.notices if one.id not in answer.noted)
    following = dataclasses.replace(present, contact=contact, told=told, orders=allowed, notices=notices)
    if answer.desired is None:
        return following
    return dataclasses.replace(following, desired=answer.desired, desired_digest=answer.desired_digest)
