"""Makes this host a station: shows the key of a response file to the hub, and takes or joins the mirror volume.

Order, so that a registration key is not used up in vain: what can be seen on this host is checked first; then the hub
is asked; then the mirror directory, whose name only the hub knows, becomes a volume or is joined; the configuration is
written last, and makes the host registered. When the volume step fails the machine's key is kept: the hub gives the
same answer to the same key again, so the same command goes on where it stopped. A refusal leaves nothing behind.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import random
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import msgspec

from stationmaster.api_client import keys, session
from stationmaster.host import access, network
from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.host import http as host_http
from stationmaster.host import programs as host_programs
from stationmaster.mirror import volume
from stationmaster.model import addresses, errors, plain_path, protocol, response_file
from stationmaster.station import config as configs
from stationmaster.station import memory, volume_look, wiring

_PATH = "/stationmaster/v1/registrations"
_SOCKET_LIMIT = 107
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 8.0


@dataclasses.dataclass(frozen=True)
class Wish:
    """What was asked for on the command line."""

    response_file: Path
    state_directory: Path
    address: str | None = None
    forward_proxy: str | None = None
    timeout_seconds: float = 120.0


@dataclasses.dataclass(frozen=True)
class Registered:
    """Who this station now is, whether its volume was made now, and what an operator should know."""

    config: configs.StationConfig
    display_name: str
    is_volume_new: bool
    warnings: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Doors:
    """What a registration needs of the host."""

    files: host_files.Files
    clock: clocks.Clock
    programs: host_programs.Programs


def register(wish: Wish, doors: Doors) -> Registered:
    """Register this host, or raise: StationmasterError says what to do, and whether to run the command again."""
    state = configs.StateDirectory(wish.state_directory)
    require_unregistered(state)
    content = _read_response_file(wish.response_file)
    _require_usable(state.root)
    address = _own_address(wish.address, content)
    is_directory_new = not state.root.exists()
    doors.files.make_directory(state.root, mode=0o711)
    is_key_new = not state.key.exists()
    if is_key_new:
        doors.files.write_atomic(state.key, keys.private_pem(keys.make_private_key()), mode=0o600)
    doors.files.write_atomic(state.ca, content.ca_pem.encode())
    try:
        answer = _ask(state, content, address, wish, doors)
    except session.HubRefusedError:
        if is_key_new:
            _leave_nothing(state, doors.files, with_directory=is_directory_new)
        raise
    directory = _require_station(answer)
    found, is_new = _take_volume(directory, answer.tenancy_id, doors)
    config = configs.StationConfig(
        station_id=answer.station_id or "",
        managed_instance_id=answer.managed_instance_id,
        tenancy_id=answer.tenancy_id,
        hub_url=content.hub_url,
        address=address,
        mirror_directory=str(directory),
        volume_id=found.id,
        forward_proxy=wish.forward_proxy,
    )
    configs.write_config(state, config, doors.files)
    return Registered(config, answer.display_name, is_new, _warnings(directory, doors.programs))


def take_volume(
    state: configs.StateDirectory, doors: Doors, *, is_id_renewed: bool = False
) -> tuple[configs.StationConfig, bool]:
    """Take or join the volume in the mirror directory that the hub names now, after an operator changed it there.

    The daemon does not do this by itself: a wrong or unmounted directory must never look like a new volume (I11).
    ``is_id_renewed``: the directory was copied from another station's, and gets an id of its own (R10).
    """
    config = configs.read_config(state)
    stored = memory.Memory(state, doors.files).desired()
    directory = Path(stored.desired.mirror_directory if stored else config.mirror_directory)
    found, is_new = _take_volume(directory, config.tenancy_id, doors)
    if is_id_renewed and not is_new:
        found = volume.renew_id(doors.files, found)
    following = msgspec.structs.replace(config, mirror_directory=str(directory), volume_id=found.id)
    configs.write_config(state, following, doors.files)
    return following, is_new


def require_unregistered(state: configs.StateDirectory) -> None:
    """A state directory registers once: a second registration would cut off the first."""
    if state.config.exists():
        known = configs.read_config(state)
        raise errors.IncorrectStateError(
            f"{state.root} already holds the registered station {known.station_id}.",
            hint="Use `stationmaster station run`, or name another --state-dir for another station.",
        )


def _read_response_file(path: Path) -> response_file.ResponseFile:
    hint = "Print one with `stationmaster profile response-file --profile-id OCID`."
    return response_file.parse(
        host_files.read_required(path, what="the response file", hint=hint).decode("utf-8", "replace")
    )


def _require_usable(root: Path) -> None:
    """What would stop nginx or the daemon later is said before the registration key is shown."""
    plain_path.require_plain_path(root, what="The state directory")
    if len(str(root / "daemon.sock")) > _SOCKET_LIMIT:
        raise errors.CallerError(
            f"The state directory {root} is too long a path for a Unix socket in it.", hint="Choose a shorter one."
        )
    if root.exists() and not (root.is_dir() and os.access(root, os.W_OK | os.X_OK)):
        raise errors.HostError(f"The state directory {root} is no directory that can be written.", hint="Name another.")
    _require_open(root.parent)


def _require_open(directory: Path) -> None:
    """HostError when the user as whom nginx would serve may not enter."""
    user = wiring.web_user()
    try:
        closed = access.first_closed_directory(directory, user) if user is not None else None
    except LookupError:
        return  # nginx is not installed yet, which is a warning of its own
    if closed is not None:
        raise errors.HostError(
            f"nginx could not serve from {directory}: its user {user} may not enter {closed}.",
            hint=f"Choose another directory, or run: chmod o+x {closed}",
            code="DirectoryClosed",
        )


def _own_address(wanted: str | None, content: response_file.ResponseFile) -> str:
    if wanted is not None:
        if not addresses.is_address(wanted):
            raise errors.CallerError(
                f"--address is {wanted!r}, which is no IP address.",
                hint="Give the address balancers reach this host at.",
            )
        return addresses.canonical_host(wanted)
    target = urllib.parse.urlsplit(content.hub_url)
    found = network.address_towards(target.hostname or "", target.port or 443)
    if found is None:
        raise errors.HostError(
            f"This host has no route to the hub {content.hub_url}.",
            hint="Check name and network, or give --address for where balancers and peers reach this station.",
        )
    return found


def _ask(
    state: configs.StateDirectory, content: response_file.ResponseFile, address: str, wish: Wish, doors: Doors
) -> protocol.RegistrationAnswer:
    request = protocol.RegistrationRequest(
        registration_key=content.registration_key,
        public_key=keys.public_pem(keys.load_private_key(state.key).public_key()),
        kind=protocol.MachineKind.STATION,
        facts=own_facts(),
        address=address,
    )
    connection = host_http.Http(ca_file=state.ca if content.ca_pem else None, proxy_url=wish.forward_proxy)
    hub = session.Session(content.hub_url, connection, doors.clock)

    def ask() -> protocol.RegistrationAnswer:
        return hub.request("POST", _PATH, body=request, timeout=20.0).decode(protocol.RegistrationAnswer)

    try:
        return retry(ask, doors.clock, seconds=wish.timeout_seconds)
    except errors.PeerError as exc:
        raise errors.PeerError(
            f"The hub {content.hub_url} could not be asked to register this station: {exc.message}",
            hint="Nothing is lost: run the same command again when the hub can be reached.",
            code=exc.code,
        ) from exc


def retry(
    attempt: Callable[[], protocol.RegistrationAnswer], clock: clocks.Clock, *, seconds: float
) -> protocol.RegistrationAnswer:
    """Try until it works or ``seconds`` are over: only trouble with the connection or the hub is worth another try."""
    deadline, pause = clock.monotonic() + seconds, _FIRST_PAUSE_SECONDS
    while True:
        try:
            return attempt()
        except errors.PeerError:
            wait = pause * (0.5 + random.random())
            if clock.monotonic() + wait >= deadline:
                raise
        clock.sleep(wait)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)


def own_facts() -> protocol.Facts:
    """What this host says about itself."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    kernel = os.uname()
    return protocol.Facts(
        host_name=network.host_name(),
        os_name=release.get("NAME", "unknown"),
        os_version=release.get("VERSION_ID", ""),
        kernel_version=kernel.release,
        architecture=kernel.machine,
    )


def _leave_nothing(state: configs.StateDirectory, files: host_files.Files, *, with_directory: bool) -> None:
    files.remove(state.key)
    files.remove(state.ca)
    if with_directory:
        files.remove_tree(state.root)


def _require_station(answer: protocol.RegistrationAnswer) -> Path:
    if answer.station_id is None or answer.mirror_directory is None:
        raise errors.PeerError(
            "The hub registered this host as an instance, not as a station.",
            hint="Use the response file of the station's own profile (type STATION).",
        )
    return Path(answer.mirror_directory)


def _take_volume(directory: Path, tenancy_id: str, doors: Doors) -> tuple[volume.Volume, bool]:
    """I11: an empty unmarked directory becomes a volume, a volume is joined, anything else is refused."""
    again = "Then run the same command again; nothing is used up."
    try:
        plain_path.require_plain_path(directory, what="The mirror directory")
        _require_open(directory)
        if (directory / ".stationmaster" / "volume.json").exists():
            return volume.open_volume(doors.files, directory, hub=tenancy_id), False
        return volume.init_volume(doors.files, directory, doors.clock, hub=tenancy_id), True
    except errors.StationmasterError as exc:
        raise errors.VolumeError(exc.message, hint=f"{exc.hint} {again}".strip(), code=exc.code) from exc


def _warnings(directory: Path, programs: host_programs.Programs) -> tuple[str, ...]:
    found = []
    if volume_look.is_on_root(directory):
        found.append(f"The mirror directory {directory} lies on the root file system: a full mirror fills it.")
    found += [
        f"{name} is not installed; the station needs it to run."
        for name in ("nginx", "squid")
        if not programs.find(name)
    ]
    return tuple(found)
