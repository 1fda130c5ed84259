"""What the agent remembers, below its state directory. Each file is replaced in one step, so a kill loses nothing.

agent.json      who this instance is and what it manages; written once, last, by ``register``
key.pem         its private key (0600);  ca.pem  the hub's CA
address.conf    the address in use, for repositories and for the agent's own way to the hub; lines of ``key=value``,
                since instance-setup.sh edits it too
former.conf     the address before a re-point that has not yet proved itself: found at a start, it is gone back to
desired.json    what the hub last said this instance should be
applied.json    what of that is done, and which sources have answered
inventory.json  the packages as last seen, and when
repos.json      files written below the root, with what was there before
source-keys.json  keys of sources, as the mirror serves them
spool/          reports of jobs (``spool``)
"""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from stationmaster.host import files
from stationmaster.model import addresses, errors, ports, protocol

M = TypeVar("M", bound=msgspec.Struct)


class Identity(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Who this instance is, fixed at registration."""

    tenancy_id: str
    managed_instance_id: str
    display_name: str
    hub_url: str
    root: str
    package_manager: protocol.PackageManager


class Applied(msgspec.Struct, frozen=True, rename="camel"):
    """What was done of the desired state. ``answered`` are sources whose list has answered at the address in use."""

    desired_digest: str = ""
    answered: tuple[str, ...] = ()


class SeenInventory(msgspec.Struct, frozen=True, rename="camel"):
    """The packages as last seen; ``stamp`` names the state of the package database then."""

    stamp: str
    time_taken: datetime.datetime
    inventory: protocol.Inventory
    acknowledged_digest: str = ""


@dataclasses.dataclass(frozen=True)
class AddressInUse:
    """Where the agent's proxy is, and, once repositories were written, the whole client address."""

    host: str
    proxy_port: int
    http_port: int | None = None
    https_port: int | None = None
    is_mirror_tls: bool = False

    @property
    def client_address(self) -> protocol.ClientAddress | None:
        """The address that repositories use; None before the first were written."""
        if self.http_port is None or self.https_port is None:
            return None
        triple = protocol.Ports(proxy=self.proxy_port, http=self.http_port, https=self.https_port)
        return protocol.ClientAddress(host=self.host, ports=triple, is_mirror_tls=self.is_mirror_tls)

    @classmethod
    def of(cls, address: protocol.ClientAddress) -> AddressInUse:
        """The same, from what the hub says."""
        triple = address.ports
        return cls(address.host, triple.proxy, triple.http, triple.https, address.is_mirror_tls)


def render_address(address: AddressInUse) -> str:
    """The text of address.conf; ``parse_address`` gives the same back."""
    lines = [f"host={address.host}", f"proxyPort={address.proxy_port}"]
    if address.http_port is not None and address.https_port is not None:
        lines += [f"httpPort={address.http_port}", f"httpsPort={address.https_port}"]
        lines.append(f"isMirrorTls={'true' if address.is_mirror_tls else 'false'}")
    return "".join(f"{line}\n" for line in lines)


def parse_address(text: str) -> AddressInUse:
    """The address in an address.conf; CallerError names what is wrong with it."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    if not values.get("host"):
        raise errors.CallerError("address.conf lacks host.", hint="Register anew, or restore the file.")

    def port(key: str) -> int | None:
        return ports.parse_port(values[key], field=f"{key} in address.conf") if key in values else None

    return AddressInUse(
        host=addresses.require_host(values["host"], field="host in address.conf"),
        proxy_port=port("proxyPort") or 16080,
        http_port=port("httpPort"),
        https_port=port("httpsPort"),
        is_mirror_tls=values.get("isMirrorTls") == "true",
    )


class StateDirectory:
    """Reads and writes the files above."""

    def __init__(self, path: Path, disk: files.Files) -> None:
        self.path = path
        self._disk = disk

    @property
    def is_registered(self) -> bool:
        """Whether an instance was registered here."""
        return (self.path / "agent.json").exists()

    def identity(self) -> Identity:
        """Who this is; CallerError when nobody was registered here."""
        found = self.read("agent.json", Identity)
        if found is None:
            raise errors.CallerError(
                f"{self.path} holds no registered instance.",
                hint=f"Run `stationmaster agent register --response-file FILE --state-dir {self.path}` first.",
            )
        return found

    def address(self) -> AddressInUse:
        """The address in use."""
        return parse_address(files.read_text_or_none(self.path / "address.conf") or "")

    def write_address(self, address: AddressInUse) -> None:
        """Use another address from the next request on."""
        self.write_text("address.conf", render_address(address))

    def former_address(self) -> AddressInUse | None:
        """The address to go back to, when a re-point was cut short."""
        text = files.read_text_or_none(self.path / "former.conf")
        return parse_address(text) if text else None

    def write_former_address(self, address: AddressInUse | None) -> None:
        """Note what to go back to; None once the new address has proved itself."""
        if address is None:
            self._disk.remove(self.path / "former.conf")
        else:
            self.write_text("former.conf", render_address(address))

    def read(self, name: str, kind: type[M]) -> M | None:
        """A JSON file as a message, None when it is not there; HostError when it is damaged."""
        text = files.read_text_or_none(self.path / name)
        if text is None:
            return None
        try:
            return msgspec.json.decode(text, type=kind)
        except msgspec.DecodeError as exc:
            raise errors.HostError(
                f"{self.path / name} is damaged: {exc}.", hint="Restore the file, or register this instance anew."
            ) from exc

    def write(self, name: str, message: msgspec.Struct) -> None:
        """Replace a JSON file."""
        self.write_text(name, msgspec.json.format(msgspec.json.encode(message), indent=1).decode() + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Replace a file; readable by its owner only, since a neighbour file is a secret and umasks vary."""
        self._disk.write_atomic(self.path / name, text.encode(), mode=0o600)

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is fine."""
        self._disk.remove(self.path / name)
