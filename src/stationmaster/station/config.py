"""What a registered station knows about itself, and where its files lie. Made by ``register``, read once by ``run``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec

from stationmaster.host import files as host_files
from stationmaster.model import errors

FORMAT_VERSION = 1


class StationConfig(
    msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True, omit_defaults=False
):
    """Who this station is. ``volume_id`` is the only volume it will ever write to (I11); ``address`` where it is met.

    ``volume_timeout_seconds`` must outlast the storage's own stall (GlusterFS ``ping-timeout``), or all stations on
    shared storage leave together. ``forward_proxy`` leads to the hub until the hub names another. ``listen`` are the
    local addresses of nginx and squid. ``peer_bytes_per_second`` bounds what copying from peers takes.
    """

    format_version: int = FORMAT_VERSION
    station_id: str
    managed_instance_id: str
    tenancy_id: str
    hub_url: str
    address: str
    mirror_directory: str
    volume_id: str
    forward_proxy: str | None = None
    listen: tuple[str, ...] = ("0.0.0.0",)  # noqa: S104 - a station is there to be reached
    volume_timeout_seconds: float = 12.0
    sync_threads: int = 2
    peer_bytes_per_second: int | None = None


@dataclasses.dataclass(frozen=True)
class StateDirectory:
    """The places below a station's state directory. Secrets are 0600; ``www`` can be entered by nginx's user."""

    root: Path

    @property
    def config(self) -> Path:
        """Who this station is; its presence means: registered."""
        return self.root / "station.json"

    @property
    def key(self) -> Path:
        """The machine's private key."""
        return self.root / "key.pem"

    @property
    def ca(self) -> Path:
        """The hub's CA; empty when the hub speaks plain HTTP on a loopback address."""
        return self.root / "ca.pem"

    @property
    def desired(self) -> Path:
        """The last desired state the hub gave (I9)."""
        return self.root / "desired.json"

    @property
    def visible(self) -> Path:
        """What the hub said is visible, and what this station tells clients (I9)."""
        return self.root / "visible.json"

    @property
    def record(self) -> Path:
        """The hub's signed record of the group (R12)."""
        return self.root / "visible-record.json"

    @property
    def fetchable(self) -> Path:
        """Which generations were proved fetchable here (R4)."""
        return self.root / "fetchable.json"

    @property
    def names(self) -> Path:
        """Addresses that host names had last."""
        return self.root / "names.json"

    @property
    def syncs(self) -> Path:
        """How the last sync of each source ended."""
        return self.root / "syncs.json"

    @property
    def tokens(self) -> Path:
        """The highest lease of each source that this station ever had (R8)."""
        return self.root / "tokens.json"

    @property
    def certificate(self) -> Path:
        """Key and chain that the hub signed."""
        return self.root / "certificate"

    @property
    def keys(self) -> Path:
        """OpenPGP keys fetched once from where a source names them, and so pinned."""
        return self.root / "gpg-keys"

    @property
    def www(self) -> Path:
        """What nginx serves beside the volume."""
        return self.root / "www"

    @property
    def serving(self) -> Path:
        """Moments this station was fit to serve in, for nginx when the daemon is silent."""
        return self.root / "serving"

    @property
    def socket(self) -> Path:
        """Where the daemon answers for its health."""
        return self.root / "daemon.sock"

    @property
    def lock(self) -> Path:
        """Held by the daemon that runs on this directory."""
        return self.root / "daemon.lock"

    @property
    def log(self) -> Path:
        """Logs of nginx and squid."""
        return self.root / "log"


def write_config(state: StateDirectory, config: StationConfig, files: host_files.Files) -> None:
    """The last act of a registration."""
    files.write_atomic(state.config, msgspec.json.format(msgspec.json.encode(config)), mode=0o600)


def read_config(state: StateDirectory) -> StationConfig:
    """The configuration; HostError when the directory was never registered, or holds something else."""
    try:
        content = state.config.read_bytes()
    except FileNotFoundError as exc:
        raise errors.HostError(
            f"{state.root} is no state directory of a station: it has no {state.config.name}.",
            hint=f"Register first: stationmaster station register --response-file FILE --state-dir {state.root}",
        ) from exc
    except OSError as exc:
        raise errors.HostError(f"Cannot read {state.config}: {exc.strerror}.", hint="Run as the same user.") from exc
    try:
        return msgspec.json.decode(content, type=StationConfig)
    except msgspec.MsgspecError as exc:
        raise errors.HostError(
            f"{state.config} cannot be understood: {exc}.", hint="Restore it from a backup, or register anew."
        ) from exc
