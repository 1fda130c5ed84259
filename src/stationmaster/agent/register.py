"""Registers this instance: shows the key of a response file through the gateway, and is told who it is.

Leaves nothing behind when it fails. What it writes on success goes into the state directory only; the root is left as
it is until the first `agent run`, which knows the sources.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from stationmaster.agent import connection, doors, facts, state
from stationmaster.agent.package_managers import base
from stationmaster.api_client import keys, session
from stationmaster.host import files, network
from stationmaster.model import errors, protocol, response_file

_PATH = "/stationmaster/v1/registrations"
_KEY_HINT = (
    "A key serves a limited number of machines and days: `stationmaster profile response-file` makes a new one, from "
    "a profile for instances."
)
_FILES = ("key.pem", "ca.pem", "address.conf", "agent.json")


@dataclasses.dataclass(frozen=True)
class Wish:
    """What was asked for on the command line."""

    response_file: Path
    state_directory: Path
    root: Path
    package_manager: protocol.PackageManager | None
    timeout_seconds: float


def register(wish: Wish, through: doors.Doors) -> state.Identity:
    """Register, or raise with everything as it was before."""
    remembered = state.StateDirectory(wish.state_directory, through.disk)
    _require_unregistered(remembered)
    text = files.read_required(
        wish.response_file, what="the response file", hint="`stationmaster profile response-file` prints one."
    )
    content = response_file.parse(text.decode("utf-8", "replace"))
    kind = _choose_kind(wish, through)
    key = keys.make_private_key()
    gateway = state.AddressInUse(content.gateway_host, content.gateway_port)
    request = protocol.RegistrationRequest(
        registration_key=content.registration_key,
        public_key=keys.public_pem(key.public_key()),
        kind=protocol.MachineKind.INSTANCE,
        facts=facts.gather_facts(wish.root, kind),
        address=network.address_towards(gateway.host, gateway.proxy_port),
    )
    with _ca_file(content.ca_pem, through) as ca_file:
        answer = _ask(request, content.hub_url, ca_file, gateway, wish, through)
    identity = state.Identity(
        tenancy_id=answer.tenancy_id,
        managed_instance_id=answer.managed_instance_id,
        display_name=answer.display_name,
        hub_url=content.hub_url,
        root=str(wish.root),
        package_manager=kind,
    )
    _write(identity, key, content.ca_pem, gateway, remembered, through)
    return identity


def _require_unregistered(remembered: state.StateDirectory) -> None:
    if remembered.is_registered:
        known = remembered.identity().managed_instance_id
        raise errors.IncorrectStateError(
            f"{remembered.path} already holds the registered instance {known}.",
            hint=f"To register anew, first `stationmaster agent leave --state-dir {remembered.path}`.",
        )


def _choose_kind(wish: Wish, through: doors.Doors) -> protocol.PackageManager:
    if not wish.root.is_dir():
        raise errors.CallerError(f"--root {wish.root} is no directory.", hint="Name the root of a file system.")
    kind = wish.package_manager or facts.choose_package_manager(
        facts.read_os_release(wish.root), facts.programs_in(wish.root)
    )
    base.find_target(wish.root, kind, through.programs)
    return kind


@contextlib.contextmanager
def _ca_file(pem: str, through: doors.Doors) -> Iterator[Path | None]:
    """The CA as a file for as long as the registration takes."""
    if not pem:
        yield None
        return
    with through.disk.temporary_directory(prefix="stationmaster-register-") as directory:
        path = Path(directory) / "ca.pem"
        through.disk.write_atomic(path, pem.encode(), durable=False)
        yield path


def _ask(
    request: protocol.RegistrationRequest,
    hub_url: str,
    ca_file: Path | None,
    gateway: state.AddressInUse,
    wish: Wish,
    through: doors.Doors,
) -> protocol.RegistrationAnswer:
    """The same key pair is shown at each try, so an answer that was lost costs no use of the registration key."""
    opened = connection.open_session(hub_url, ca_file, gateway, through.clock)
    try:
        answer = connection.retry(
            lambda: _explained(opened, request, gateway, hub_url),
            through.clock,
            seconds=wish.timeout_seconds,
            jitter=through.random,
        )
    except session.HubRefusedError as exc:
        raise errors.CallerError(
            f"The hub refused the registration: {exc.message}",
            hint=_KEY_HINT if "key" in exc.message.lower() else "",
            code=exc.code,
        ) from exc
    return answer.decode(protocol.RegistrationAnswer)


def _explained(
    opened: session.Session, request: protocol.RegistrationRequest, gateway: state.AddressInUse, hub_url: str
) -> session.Answer:
    try:
        return opened.request("POST", _PATH, body=request)
    except errors.PeerError as exc:
        raise connection.explain(exc, gateway, hub_url) from exc


def _write(
    identity: state.Identity,
    key: rsa.RSAPrivateKey,
    ca_pem: str,
    gateway: state.AddressInUse,
    remembered: state.StateDirectory,
    through: doors.Doors,
) -> None:
    was_there = remembered.path.exists()
    try:
        through.disk.make_directory(remembered.path, mode=0o700)
        remembered.write_text("key.pem", keys.private_pem(key).decode())
        if ca_pem:
            remembered.write_text("ca.pem", ca_pem)
        remembered.write_address(gateway)
        # Last: with it the instance counts as registered.
        remembered.write("agent.json", identity)
    except BaseException:
        for name in _FILES:
            remembered.remove(name)
        if not was_there:
            through.disk.remove_tree(remembered.path)
        raise
