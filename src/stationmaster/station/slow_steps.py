"""Steps that take long or wait for others; each runs on a thread of its own and puts what came of it on the board."""

from __future__ import annotations

import dataclasses
import datetime
import logging
from collections.abc import Callable

from stationmaster.api_client import keys as rsa_keys
from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.mirror import retention, volume
from stationmaster.model import errors, protocol
from stationmaster.station import board as boards
from stationmaster.station import certificates, fetch_proof, hub_link, memory, observe, source_keys, steps
from stationmaster.station import config as configs
from stationmaster.station import setup as station_setup
from stationmaster.station import snapshot as snapshots

_log = logging.getLogger(__name__)
RETRY_SECONDS = 10.0
FIRST_CLEAN_SECONDS = 600.0
CLEAN_SECONDS = 6 * 3600.0
_PAUSE_SECONDS = 2.0
_CLEAN_PAUSE_SECONDS = 0.01


@dataclasses.dataclass(frozen=True)
class Doors:
    """All that slow steps act through."""

    files: host_files.Files
    clock: clocks.Clock
    memory: memory.Memory
    link: hub_link.HubLink
    keys: source_keys.KeyStore
    setup: station_setup.Setup
    open_volume: Callable[[], volume.Volume]
    probe_token: str
    probe_address: str


class SlowSteps:
    """Takes slow steps; what goes wrong is shown with what it concerns, and tried again after a pause."""

    def __init__(self, state: configs.StateDirectory, board: boards.Board, doors: Doors) -> None:
        self._state = state
        self._board = board
        self._doors = doors

    def take(self, step: steps.SlowStep) -> None:
        """One step, to its end."""
        match step:
            case steps.FetchKeys():
                self._fetch_keys(step.source)
            case steps.RequestCertificate():
                self._request_certificate(step.host)
            case steps.ProbeFetchable():
                self._prove(step)
            case steps.Clean():
                self._clean(step)
            case steps.RunSetup():
                self._run_setup(step)

    def _fetch_keys(self, source: protocol.MirrorSource) -> None:
        wanted = source_keys.wanted_name(source)
        try:
            view = snapshots.KeysView(wanted=wanted, armored=self._doors.keys.collect(source))
        except (errors.StationmasterError, OSError) as exc:
            retry_at = self._doors.clock.monotonic() + RETRY_SECONDS
            view = snapshots.KeysView(wanted=wanted, problem=_problem_of(exc), retry_at=retry_at)
        self._board.change(
            lambda present: dataclasses.replace(present, keys=boards.with_entry(present.keys, source.source_id, view))
        )

    def _request_certificate(self, host: str) -> None:
        directory = self._state.certificate
        key_path = directory / "key.pem"
        problem = None
        try:
            self._doors.files.make_directory(directory, mode=0o700)
            if not key_path.exists():
                pem = rsa_keys.private_pem(rsa_keys.make_private_key())
                self._doors.files.write_atomic(key_path, pem, mode=0o600)
            desired = self._board.read().desired
            request = certificates.make_request(rsa_keys.load_private_key(key_path), host)
            chain = self._doors.link.sign_certificate(request, desired)
            self._doors.files.write_atomic(directory / "chain.pem", chain.encode())
        except (errors.StationmasterError, OSError) as exc:
            problem = _problem_of(exc)
        path = desired.certificate_path if (desired := self._board.read().desired) else None
        pause = self._doors.clock.monotonic() + (RETRY_SECONDS if problem else _PAUSE_SECONDS)
        former = dataclasses.replace(self._board.read().certificates, request_problem=problem, retry_at=pause)
        self._board.update(certificates=observe.look_at_certificates(self._state, path, former))

    def _prove(self, step: steps.ProbeFetchable) -> None:
        desired = self._board.read().desired
        if desired is None:
            return
        try:
            manifest = self._doors.open_volume().manifest(step.source_id, step.generation)
            fetch_proof.prove(
                self._doors.probe_address, desired.ports.http, self._doors.probe_token, step.source_id, manifest
            )
            view = snapshots.FetchView(is_fetchable=True)
        except (errors.StationmasterError, OSError) as exc:
            retry_at = self._doors.clock.monotonic() + RETRY_SECONDS
            view = snapshots.FetchView(is_fetchable=False, problem=_problem_of(exc), retry_at=retry_at)
        key = (step.source_id, step.generation)
        present = self._board.change(
            lambda present: dataclasses.replace(present, fetch=boards.with_entry(present.fetch, key, view))
        )
        if view.is_fetchable:
            self._doors.memory.keep_proofs(present.volume_id, present.fetch)

    def _clean(self, step: steps.Clean) -> None:
        """At a low rate, since clients are being served; a sync that begins meanwhile is left alone by the cleaner."""
        self._board.update(clean_at=self._doors.clock.monotonic() + CLEAN_SECONDS)
        policy = retention.RetentionPolicy(age=datetime.timedelta(seconds=step.retention_seconds))
        try:
            cleaner = retention.Cleaner(self._doors.files, self._doors.open_volume(), self._doors.clock, policy=policy)
            for verdict in cleaner.clean():
                if verdict.is_removed:
                    _log.info("Removed.", extra={"action": "clean", "what": verdict.what, "reason": verdict.reason})
                    self._doors.clock.sleep(_CLEAN_PAUSE_SECONDS)
        except (errors.StationmasterError, OSError) as exc:
            _log.warning(_problem_of(exc).message, extra={"action": "clean"})

    def _run_setup(self, step: steps.RunSetup) -> None:
        desired = self._board.read().desired
        if desired is not None:
            problem = self._doors.setup.run(desired, step.digest)
            self._board.update(setup_done=step.digest, setup_problem=problem)


def _problem_of(exc: errors.StationmasterError | OSError) -> protocol.Problem:
    if isinstance(exc, errors.StationmasterError):
        return observe.problem_of(exc)
    return protocol.Problem(code=errors.HostError.code, message=f"{exc.strerror}: {exc.filename}.")
