"""Looks at the world and returns what it saw as frozen values. The volume may hang: look at it in a thread."""

from __future__ import annotations

import errno
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.host import network
from stationmaster.mirror import catalog, volume
from stationmaster.model import errors, protocol
from stationmaster.station import certificates
from stationmaster.station import config as configs
from stationmaster.station import snapshot as snapshots

PROBE_SECONDS = 0.5
_WWW_FILES = ("m-http", "m-https", "keys")
_WWW_LINKS = ("u", "u-former")
_SQUID_REQUEST = b"CONNECT probe.invalid:443 HTTP/1.1\r\nHost: probe.invalid:443\r\n\r\n"
_NGINX_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Record(msgspec.Struct, frozen=True):
    """Content of ``.stationmaster/seq/<source>/<number>``."""

    generation: str
    number: int


def problem_of(error: errors.StationmasterError) -> protocol.Problem:
    """An error as it goes over the wire."""
    return protocol.Problem(code=error.code, message=str(error))


def open_volume(config: configs.StationConfig, directory: str, files: host_files.Files) -> volume.Volume:
    """I11: the station's own volume at ``directory``; VolumeError when it is not there."""
    return volume.open_volume(files, Path(directory), expected_id=config.volume_id, hub=config.tenancy_id)


def look_at_volume(
    config: configs.StationConfig,
    directory: str,
    source_ids: Iterable[str],
    files: host_files.Files,
    clock: clocks.Clock,
) -> snapshots.VolumeView:
    """Marker, room, whether it can be written, what is held and what is recorded as visible (I7)."""
    seen_at = clock.monotonic()
    try:
        found = open_volume(config, directory, files)
        space = found.space()
        write_problem = _leave_nonce(found, config.station_id)
        return snapshots.VolumeView(
            directory=directory,
            seen_at=seen_at,
            volume_id=found.id,
            total_bytes=space.total_bytes,
            available_bytes=space.available_bytes,
            is_on_root_file_system=is_on_root(Path(directory)),
            held=snapshots.frozen_map({one: _held(found, one) for one in source_ids}),
            records=_records(found, source_ids),
            is_writable=write_problem is None,
            write_problem=write_problem,
        )
    except errors.StationmasterError as exc:
        problem = _volume_problem(config, directory, exc)
        return snapshots.VolumeView(directory=directory, seen_at=seen_at, problem=problem)
    except OSError as exc:
        message = f"The mirror volume {directory} cannot be read: {exc.strerror}. Check the mount and its server."
        problem = protocol.Problem(code="VolumeUnusable", message=message)
        return snapshots.VolumeView(directory=directory, seen_at=seen_at, problem=problem)


def _volume_problem(
    config: configs.StationConfig, directory: str, error: errors.StationmasterError
) -> protocol.Problem:
    """What an operator should do about a volume that is not there: hardly ever to make a new one."""
    if directory != config.mirror_directory:
        message = (
            f"The mirror directory was changed from {config.mirror_directory} to {directory}, which is not this "
            f"station's volume: {error.message} To use it, run `stationmaster station take-volume` on this host."
        )
    elif not (Path(directory) / ".stationmaster" / "volume.json").exists():
        message = (
            f"The mirror volume {config.volume_id} is not at {directory}, which has no .stationmaster/volume.json: "
            "mount it. Nothing is written there until then. If it is lost for good, "
            "`stationmaster station take-volume` on this host makes an empty directory the new volume."
        )
    else:
        return problem_of(error)
    return protocol.Problem(code=error.code, message=message)


def is_on_root(directory: Path) -> bool:
    """Whether a directory lies on the root file system: taken as a volume, with a warning (design 12a)."""
    return directory.stat().st_dev == Path("/").stat().st_dev


def _leave_nonce(found: volume.Volume, station_id: str) -> protocol.Problem | None:
    """Whether this station can write: it leaves a fresh nonce, by which sharing is proved (ha-protocol R10)."""
    directory = found.control / "stations"
    try:
        found.make_directory(directory)
        found.files.write_atomic(directory / station_id, secrets.token_hex(16).encode(), durable=False)
    except OSError as exc:
        words = {errno.ENOSPC: "VolumeFull", errno.EDQUOT: "VolumeFull", errno.EROFS: "VolumeReadOnly"}
        message = f"The mirror volume {found.root} cannot be written: {exc.strerror}. It goes on serving what it holds."
        return protocol.Problem(code=words.get(exc.errno or 0, "VolumeNotWritable"), message=message)
    return None


def _held(found: volume.Volume, source_id: str) -> tuple[snapshots.HeldView, ...]:
    return tuple(
        snapshots.HeldView(
            generation=one.generation,
            package_count=one.packages,
            unique_package_count=one.unique_packages,
            size_bytes=one.total_bytes,
            time_root=one.root_time,
            time_held=one.held_since,
        )
        for one in catalog.list_generations(found, source_id)
    )


def records_directory(found: volume.Volume, source_id: str) -> Path:
    """Where the numbers of a source lie (ha-protocol R1)."""
    return found.control / "seq" / source_id


def _records(found: volume.Volume, source_ids: Iterable[str]) -> Mapping[str, protocol.Visible]:
    records = {}
    for source_id in source_ids:
        highest = highest_record(records_directory(found, source_id))
        if highest is not None:
            records[source_id] = protocol.Visible(
                source_id=source_id, number=highest.number, generation=highest.generation
            )
    return snapshots.frozen_map(records)


def highest_record(directory: Path) -> Record | None:
    """R1: what is visible on a volume is the highest record; a name that is no number is none."""
    try:
        numbers = sorted((int(one.name) for one in directory.iterdir() if one.name.isdigit()), reverse=True)
    except FileNotFoundError:
        return None
    for number in numbers:
        try:
            return msgspec.json.decode((directory / str(number)).read_bytes(), type=Record)
        except (msgspec.MsgspecError, FileNotFoundError):
            continue
    return None


def look_at_www(www: Path) -> Mapping[str, str]:
    """What nginx serves beside the volume: file contents by path, links as ``->`` and their target."""
    found = {}
    for name in ("instance-setup.sh",):
        text = host_files.read_text_or_none(www / name)
        if text is not None:
            found[name] = text
    for directory in (*_WWW_FILES, *_WWW_LINKS):
        for path in sorted((www / directory).glob("[!.]*")):
            is_link = path.is_symlink()
            found[f"{directory}/{path.name}"] = f"->{path.readlink()}" if is_link else path.read_text(errors="replace")
    return snapshots.frozen_map(found)


def look_at_certificates(
    state: configs.StateDirectory, operators_path: str | None, former: snapshots.CertificatesView
) -> snapshots.CertificatesView:
    """The signed and the operator's certificate as they are on disk now."""
    signed = operators = problem = None
    if (state.certificate / "chain.pem").exists():
        try:
            signed = certificates.read_certificate(state.certificate / "chain.pem", state.certificate / "key.pem")
        except errors.HostError:
            signed = None  # damaged: a new one is asked for
    if operators_path:
        try:
            operators = certificates.read_operators(Path(operators_path))
        except errors.HostError as exc:
            problem = problem_of(exc)
    return snapshots.CertificatesView(
        signed=signed,
        operators=operators,
        operators_problem=problem,
        request_problem=former.request_problem,
        retry_at=former.retry_at,
    )


def is_nginx_answering(address: str, port: int) -> bool:
    """Whether nginx answers a request at all, whatever it says."""
    return network.exchange(address, port, _NGINX_REQUEST, timeout=PROBE_SECONDS).startswith(b"HTTP/1.")


def is_squid_answering(address: str, port: int) -> bool:
    """Whether squid answers: it refuses a name that does not exist, without looking it up. The hub plays no part."""
    return network.exchange(address, port, _SQUID_REQUEST, timeout=PROBE_SECONDS).startswith(b"HTTP/1.")
