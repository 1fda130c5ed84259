"""``balancer run``: keeps a real HAProxy in step with the hub's view of one group.

A station that comes, goes or moves: new text, HAProxy's own check, reload that refuses no connection. A drain: told to
the running program, and written for the next start. HAProxy gone: started at once. The hub gone: the last view stays,
also over our own restart (``view.json``). A HAProxy left by a predecessor is taken over.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from pathlib import Path

import msgspec

from stationmaster.balancer import certificate as certificates
from stationmaster.balancer import follow, haproxy, local_addresses, program
from stationmaster.balancer import spec as balancer
from stationmaster.host import engine_process, files, keeper
from stationmaster.model import errors, protocol

_log = logging.getLogger(__name__)
_TICK_SECONDS = 0.1
_FULL_LOOK_SECONDS = 2.0
_SILENCES_UNTIL_WEDGED = 3


@dataclasses.dataclass(frozen=True)
class Settings:
    """What one balancer node is told when it starts. ``certificate`` and ``ca`` come together or not at all.

    Without them the hub is asked for a certificate, unless TLS is to be passed on (``is_tls_passed``).
    """

    hostname: str
    state_directory: Path
    bind: str = "*"
    certificate: Path | None = None
    ca: Path | None = None
    is_tls_passed: bool = False
    pace: follow.Pace = dataclasses.field(default_factory=follow.Pace)


class BalancerRun:
    """One node. ``tick`` is one look and what follows from it; ``run`` repeats it."""

    def __init__(
        self,
        settings: Settings,
        doors: engine_process.Doors,
        fetch_view: follow.FetchView,
        report: follow.ReportAddresses,
        sign: certificates.Sign,
    ) -> None:
        self._settings = settings
        self._doors = doors
        self._runtime = program.runtime_of(settings.state_directory)
        self._haproxy = program.RunningHaproxy(self._runtime, doors.files)
        self.keeper = keeper.Keeper(program.haproxy_engine(settings.state_directory), doors)
        self._certificate = certificates.GroupCertificate(settings.state_directory, doors.files, doors.clock, sign)
        self.follower = follow.Follower(
            fetch_view,
            report,
            self._own_addresses,
            doors.clock,
            settings.pace,
            self._ask_for_certificate,
            self._serves,
        )
        self._view = self._read_view()
        self._applied: balancer.BalancerSpec | None = None
        self._looked_at = float("-inf")
        self._silences = 0
        self.problem: errors.StationmasterError | None = None

    def run(self, stop: threading.Event) -> None:
        """Until told to stop; HAProxy itself goes on, and a successor takes it over."""
        following = threading.Thread(target=self.follower.run, args=(stop,), name="follow", daemon=True)
        following.start()
        while not stop.wait(_TICK_SECONDS):
            try:
                self.tick()
            except Exception:  # noqa: BLE001 - the edge of a loop that must go on
                _log.exception("Keeping HAProxy failed.", extra={"action": "tick"})

    def stop_haproxy(self) -> None:
        """End HAProxy, too."""
        self.keeper.stop()

    def tick(self) -> None:
        """Take over what the hub last said, and see to HAProxy."""
        self._accept(self.follower.newest)
        if self._view is None:
            return
        try:
            wanted = self._spec(self._view)
        except (errors.StationmasterError, OSError) as exc:
            self._note(errors.HostError(f"The group cannot be balanced as it is: {exc}."))
            return
        if self._is_told_at_runtime(wanted):
            return
        now = self._doors.clock.monotonic()
        is_due = now - self._looked_at >= _FULL_LOOK_SECONDS
        if is_due:
            self._end_wedged()
        if wanted != self._applied or self.keeper.pid() is None or is_due:
            self._looked_at = now
            self._keep(wanted)

    def _accept(self, view: protocol.BalancerView | None) -> None:
        if view is None or view == self._view:
            return
        if not follow.is_acceptable(view, self._view):
            self._note(errors.PeerError("The hub shows the group without any station; the last configuration stays."))
            return
        self._doors.files.write_atomic(self._view_path, msgspec.json.encode(view), mode=0o600)
        self._view = view

    def _keep(self, wanted: balancer.BalancerSpec) -> None:
        is_running = self.keeper.pid() is not None
        if is_running and wanted != self._applied:
            self._save_server_states(wanted)
        elif not is_running:
            self._haproxy.forget_server_states()
        kept = self.keeper.keep(program.wanted_haproxy(wanted))
        self._haproxy.forget_server_states()
        self._note(kept.problem)
        if kept.problem is None:
            self._applied = wanted
        if kept.is_changed:
            _log.info("HAProxy serves %d station(s) of %s.", len(wanted.servers), wanted.hostname)

    def _save_server_states(self, wanted: balancer.BalancerSpec) -> None:
        """Health is carried over the reload, and so is a drain, which must therefore end before."""
        try:
            self._haproxy.align_drains(wanted)
            is_tls_same = self._applied is not None and bool(self._applied.tls) == bool(wanted.tls)
            self._haproxy.save_server_states(wanted, but="" if is_tls_same else haproxy.HTTPS)
        except errors.HostError as exc:
            _log.warning("HAProxy's view of its servers is not carried over. %s", exc)

    def _is_told_at_runtime(self, wanted: balancer.BalancerSpec) -> bool:
        """Stations that are to drain need no reload: True when the running HAProxy has it, and the next one will.

        One that returns does: the running program may have been started with no weight for it.
        """
        applied = self._applied
        if applied is None or wanted == applied or balancer.without_drain(wanted) != balancer.without_drain(applied):
            return False
        if self.keeper.pid() is None or balancer.draining(applied) - balancer.draining(wanted):
            return False
        try:
            self._haproxy.align_drains(wanted)
            self.keeper.install_quietly(program.wanted_haproxy(wanted))
        except errors.HostError as exc:
            _log.warning("A drain is applied by a reload instead. %s", exc)
            return False
        self._applied = wanted
        _log.info("Draining: %s.", ", ".join(sorted(balancer.draining(wanted))))
        return True

    def _end_wedged(self) -> None:
        """A frozen worker holds its ports and serves nobody: end it, so that it is started anew."""
        if self._applied is None or self.keeper.pid() is None or self._haproxy.is_answering():
            self._silences = 0
            return
        self._silences += 1
        if self._silences >= _SILENCES_UNTIL_WEDGED:
            _log.warning("HAProxy lives but does not answer; it is restarted.")
            self._silences = 0
            self.keeper.restart_wedged()

    def _spec(self, view: protocol.BalancerView) -> balancer.BalancerSpec:
        settings = self._settings
        tls = read_tls(settings.certificate, settings.ca)
        if tls is None and not settings.is_tls_passed:
            tls = self._certificate.present(view)
        return balancer.balancer_spec(view, bind=settings.bind, tls=tls, runtime=self._runtime)

    def _ask_for_certificate(self, view: protocol.BalancerView) -> None:
        if self._settings.certificate is None and not self._settings.is_tls_passed:
            self._certificate.renew_if_due(view)

    def _own_addresses(self) -> tuple[str, ...]:
        view = self.follower.newest
        return local_addresses.local_addresses(self._spec(view).servers if view else ())

    def _serves(self) -> tuple[protocol.Ports, ...]:
        applied = self._applied
        both = (applied.ports, *([applied.also] if applied.also else [])) if applied is not None else ()
        return tuple(protocol.Ports(proxy=one.proxy, http=one.http, https=one.https) for one in both)

    @property
    def _view_path(self) -> Path:
        return self._settings.state_directory / "view.json"

    def _read_view(self) -> protocol.BalancerView | None:
        """What the hub said before we were started; a file that is damaged is as none."""
        text = files.read_text_or_none(self._view_path)
        if text is None:
            return None
        try:
            return balancer.parse_view(msgspec.json.decode(text))
        except (errors.PeerError, msgspec.DecodeError):
            _log.warning("%s is damaged and is not used.", self._view_path)
            return None

    def _note(self, problem: errors.StationmasterError | None) -> None:
        if problem is not None and str(problem) != str(self.problem):
            _log.error("%s", problem, extra={"code": problem.code})
        self.problem = problem


def read_tls(certificate: Path | None, ca: Path | None) -> balancer.OwnTls | None:
    """The group's certificate with its key in one file, if this balancer ends TLS; a renewal is a difference."""
    if certificate is None or ca is None:
        return None
    digest = files.read_required(certificate, what="the group's certificate", hint="Give a PEM file with its key.")
    authority = files.read_required(ca, what="the hub's CA", hint="It is ca.pem in the hub's state directory.")
    return balancer.OwnTls(certificate, ca, balancer.digest_of(digest, authority))
