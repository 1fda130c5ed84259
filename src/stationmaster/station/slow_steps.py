"""Steps that take long or wait for others; each runs on a thread of its own and puts what came of it on the board."""

from __future__ import annotations

import dataclasses

from stationmaster.api_client import keys as rsa_keys
from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.model import errors, protocol
from stationmaster.station import board as boards
from stationmaster.station import certificates, hub_link, observe, source_keys, steps, volume_steps
from stationmaster.station import config as configs
from stationmaster.station import setup as station_setup
from stationmaster.station import snapshot as snapshots

RETRY_SECONDS = 10.0
_PAUSE_SECONDS = 2.0


@dataclasses.dataclass(frozen=True)
class Doors:
    """All that slow steps act through."""

    files: host_files.Files
    clock: clocks.Clock
    link: hub_link.HubLink
    keys: source_keys.KeyStore
    setup: station_setup.Setup
    volume: volume_steps.VolumeSteps


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
            case (
                steps.ProbeFetchable() | steps.RecordVisible() | steps.ShareRecord() | steps.Clean() | steps.MakeRoom()
            ):
                self._doors.volume.take(step)
            case steps.RunSetup():
                self._run_setup(step)

    def _fetch_keys(self, source: protocol.MirrorSource) -> None:
        wanted = source_keys.wanted_name(source)
        try:
            view = snapshots.KeysView(wanted=wanted, armored=self._doors.keys.collect(source))
        except (errors.StationmasterError, OSError) as exc:
            retry_at = self._doors.clock.monotonic() + RETRY_SECONDS
            view = snapshots.KeysView(wanted=wanted, problem=observe.problem_of(exc), retry_at=retry_at)
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
            problem = observe.problem_of(exc)
        path = desired.certificate_path if (desired := self._board.read().desired) else None
        pause = self._doors.clock.monotonic() + (RETRY_SECONDS if problem else _PAUSE_SECONDS)
        former = dataclasses.replace(self._board.read().certificates, request_problem=problem, retry_at=pause)
        self._board.update(certificates=observe.look_at_certificates(self._state, path, former))

    def _run_setup(self, step: steps.RunSetup) -> None:
        desired = self._board.read().desired
        if desired is not None:
            problem = self._doors.setup.run(desired, step.digest)
            self._board.update(setup_done=step.digest, setup_problem=problem)
