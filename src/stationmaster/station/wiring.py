"""Puts a station daemon together from its state directory. Decides nothing."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import os
import pwd
import threading
from collections.abc import Callable

from stationmaster.host import clock as clocks
from stationmaster.host import engine_process, network
from stationmaster.host import files as host_files
from stationmaster.host import http as host_http
from stationmaster.host import programs as host_programs
from stationmaster.mirror import limits, volume
from stationmaster.model import addresses, protocol
from stationmaster.station import apply as applies
from stationmaster.station import (
    background,
    engine_keeper,
    hub_link,
    memory,
    mending,
    misses,
    observe,
    peers,
    setup,
    slow_steps,
    source_keys,
    specs,
    sync,
    visible_record,
    visible_store,
    volume_look,
    volume_steps,
    watch,
)
from stationmaster.station import board as boards
from stationmaster.station import config as configs
from stationmaster.station import names as station_names
from stationmaster.station import snapshot as snapshots
from stationmaster.station.sites import program

_WEB_USERS = ("www-data", "nginx")
_PROXY_USERS = ("proxy", "squid")
_STEP_THREADS = 4


@dataclasses.dataclass(frozen=True)
class Parts:
    """All that the daemon's loop works with."""

    state: configs.StateDirectory
    config: configs.StationConfig
    files: host_files.Files
    clock: clocks.Clock
    stop: threading.Event
    board: boards.Board
    names: station_names.Names
    host: specs.SiteHost
    watch: watch.Watch
    link: hub_link.HubLink
    doors: applies.Doors
    apply: applies.Apply
    misses: misses.Misses
    records: visible_record.Reader


def build(state: configs.StateDirectory, monitors: tuple[addresses.Network, ...] = ()) -> Parts:
    """The parts of a registered station's daemon. HostError when it is not registered or its key cannot be read.

    ``monitors``: from where nginx passes ``/metrics`` on; nobody, unless it is said.
    """
    config = configs.read_config(state)
    files, clock, stop = host_files.Files(), clocks.SystemClock(), threading.Event()
    _prepare(state, files)
    kept, reader = memory.Memory(state, files), visible_record.reader_of(state.ca)
    ports_setup = setup.Setup(state.root / "setup-done", host_programs.Programs(), files)
    board = boards.Board(
        first_snapshot(
            state,
            config,
            kept,
            reader,
            now=clock.now(),
            setup_done=ports_setup.done(),
            clean_at=clock.monotonic() + volume_steps.FIRST_CLEAN_SECONDS,
        )
    )
    board.update(check_at=clock.monotonic() + mending.FIRST_CHECK_SECONDS)
    names = station_names.Names(network.resolve, clock, kept.names())
    host = site_host(state, config, monitors)
    link = hub_link.HubLink(config, state, clock, names.read)
    open_volume = functools.partial(_open_volume, board, config, files)
    peer_http = peers.PeerHttp(lambda: board.read().certificates.signed)
    doors = _quick_doors(config, board, kept, stop, open_volume, peer_http)
    slow = slow_steps.Doors(
        files=files,
        clock=clock,
        link=link,
        keys=source_keys.KeyStore(state.keys, files, host_http.Http(connections_per_host=2)),
        setup=ports_setup,
        volume=volume_steps.VolumeSteps(
            board,
            volume_steps.Doors(
                files=files,
                clock=clock,
                memory=kept,
                open_volume=open_volume,
                probe_token=host.probe_token,
                probe_address=watch.probe_address(config),
                records=visible_store.Store(reader, config.station_id),
            ),
        ),
    )
    return Parts(
        state=state,
        config=config,
        files=files,
        clock=clock,
        stop=stop,
        board=board,
        names=names,
        host=host,
        watch=watch.Watch(board, config, state, names, kept, files, clock),
        link=link,
        doors=doors,
        apply=applies.Apply(state, board, doors, slow_steps.SlowSteps(state, board, slow)),
        misses=misses.Misses(board, open_volume, peer_http, clock),
        records=reader,
    )


def first_snapshot(
    state: configs.StateDirectory,
    config: configs.StationConfig,
    kept: memory.Memory,
    reader: visible_record.Reader,
    *,
    now: datetime.datetime,
    setup_done: str,
    clean_at: float,
) -> snapshots.Snapshot:
    """What is known before anything was looked at: what the last daemon stored (I9)."""
    stored, visible, tokens = kept.desired(), kept.visible(), kept.tokens()
    mount, proofs = kept.proofs(config.volume_id)
    path = stored.desired.certificate_path if stored else None
    first = snapshots.Snapshot(
        station_id=config.station_id,
        volume_id=config.volume_id,
        address=config.address,
        desired=stored.desired if stored else None,
        desired_digest=stored.digest if stored else "",
        stored_desired=stored.digest if stored else "",
        told=visible.told,
        stored_told=visible.told,
        shown=visible.shown,
        volume_timeout_seconds=config.volume_timeout_seconds,
        certificates=observe.look_at_certificates(state, path, snapshots.CertificatesView()),
        www=observe.look_at_www(state.www),
        fetch=proofs,
        proved_mount=mount,
        syncs=kept.syncs(),
        # Until the hub has spoken nobody may ask an upstream.
        orders=snapshots.Orders(leases=snapshots.frozen_map(), tokens=tokens, stored_tokens=tokens),
        clean_at=clean_at,
        setup_done=setup_done,
        can_read_records=reader.can_read,
        desired_record=snapshots.RecordName(stored.record_group, stored.record_counter)
        if stored
        else snapshots.RecordName(),
        forward_proxy=config.forward_proxy,
    )
    return with_kept_record(first, kept.record(), reader, now)


def with_kept_record(
    first: snapshots.Snapshot, content: bytes | None, reader: visible_record.Reader, now: datetime.datetime
) -> snapshots.Snapshot:
    """The signed record as the last daemon kept it; one that is damaged is told, and left out (R12)."""
    if content is None or not reader.can_read:
        return first
    try:
        view = reader.read(content)
    except visible_record.RecordRefusedError as exc:
        message = f"The visible record in the state directory is refused: {exc.message}. The hub gives another."
        return dataclasses.replace(first, record_problem=protocol.Problem(code=exc.code, message=message))
    taken = visible_record.taken(first, view, now)
    return dataclasses.replace(taken, stored_record=view.name) if taken.record is not None else first


def site_host(
    state: configs.StateDirectory, config: configs.StationConfig, monitors: tuple[addresses.Network, ...] = ()
) -> specs.SiteHost:
    """What of this host nginx and squid depend on. The probe token follows from the machine's key, so it stays."""
    key = host_files.read_required(state.key, what="the machine's key", hint="Restore it, or register anew.")
    return specs.SiteHost(
        state_directory=state.root,
        listen=_listen(config),
        nginx_user=web_user(),
        squid_user=_first_user(_PROXY_USERS),
        probe_token=hashlib.sha256(b"probe\0" + key).hexdigest()[:32],
        monitors=monitors,
    )


def _listen(config: configs.StationConfig) -> tuple[str, ...]:
    """All addresses means those of both families, where the host has both."""
    is_everywhere = set(config.listen) == {"0.0.0.0"}  # noqa: S104 - compared with, not bound to
    return (*config.listen, "::") if is_everywhere and network.has_ipv6() else config.listen


def web_user() -> str | None:
    """As whom nginx serves; None when this process is not root, and so nginx runs as the same user."""
    return _first_user(_WEB_USERS)


def _first_user(wanted: tuple[str, ...]) -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in wanted if name in known), wanted[0])


def _prepare(state: configs.StateDirectory, files: host_files.Files) -> None:
    """Workers of nginx must be able to go through the state directory; secrets in it are 0600."""
    files.set_mode(state.root, 0o711)
    for path in (state.www, state.serving, state.log):
        files.make_directory(path)


def _quick_doors(
    config: configs.StationConfig,
    board: boards.Board,
    kept: memory.Memory,
    stop: threading.Event,
    open_volume: Callable[[], volume.Volume],
    peer_http: peers.PeerHttp,
) -> applies.Doors:
    files, clock, engines = host_files.Files(), clocks.SystemClock(), engine_process.real_doors()
    sync_doors = sync.SyncDoors(
        files=files,
        clock=clock,
        verified=host_http.Http(connections_per_host=16),
        unverified=host_http.Http(connections_per_host=16, is_tls_verified=False),
        open_volume=open_volume,
        peers=peer_http,
        peer_limits=limits.Limits(clock, limits.LimitSettings(bytes_per_second=config.peer_bytes_per_second)),
    )
    return applies.Doors(
        files=files,
        memory=kept,
        nginx=engine_keeper.EngineKeeper("nginx", lambda spec: program.NginxSite(spec, engines), board, clock),
        squid=engine_keeper.EngineKeeper("squid", lambda spec: program.SquidSite(spec, engines), board, clock),
        syncs=sync.Syncs(board, kept, sync_doors, config.sync_threads, stop),
        mending=mending.Mending(board, kept, sync_doors, stop),
        work=background.Background("step", _STEP_THREADS),
        volume_work=background.Background("volume-step", _STEP_THREADS),
    )


def _open_volume(board: boards.Board, config: configs.StationConfig, files: host_files.Files) -> volume.Volume:
    desired = board.read().desired
    return volume_look.open_volume(config, desired.mirror_directory if desired else config.mirror_directory, files)
