"""One registered instance: its root, its state, and the acts on both that a cycle is made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from stationmaster.agent import connection, doors, inventory, pins, plan, rehearsal, repositories, source_keys, state
from stationmaster.agent.package_managers import base, choice
from stationmaster.agent.steps import outcome, write_repositories
from stationmaster.api_client import keys, session
from stationmaster.model import errors, signing
from stationmaster.model.protocol import ClientAddress, InstanceDesired, Problem, Visible

DESIRED = "desired.json"


class Instance:
    """Opened from a state directory; every act is one method."""

    def __init__(self, remembered: state.StateDirectory, through: doors.Doors) -> None:
        self.state = remembered
        self.doors = through
        self.identity = remembered.identity()
        self.target = base.find_target(Path(self.identity.root), self.identity.package_manager, through.programs)
        self._key: rsa.RSAPrivateKey | None = None

    @property
    def ca_file(self) -> Path | None:
        """The hub's CA, None where the hub speaks plain HTTP."""
        path = self.state.path / "ca.pem"
        return path if path.exists() else None

    def desired(self) -> InstanceDesired | None:
        """What the hub last said, with the keys that the mirror holds."""
        said = self.state.read(DESIRED, InstanceDesired)
        return source_keys.complete(said, self._kept_keys()) if said is not None else None

    def fetch_keys(self) -> list[Problem]:
        """Bring the keys that the mirror holds; what stands against it."""
        said = self.state.read(DESIRED, InstanceDesired)
        address = self.state.address().client_address or (said.address if said is not None else None)
        if said is None or address is None:
            return []
        kept = self._kept_keys()
        found, problems = source_keys.fetch_keys(address, source_keys.sources_without(said), kept.keys, self.ca_file)
        if found != kept:
            self.state.write(source_keys.FILE, found)
        return problems

    def open_session(self) -> session.Session:
        """The way to the hub over the address in use, signed as this instance."""
        if self._key is None:
            self._key = keys.load_private_key(self.state.path / "key.pem")
        fingerprint = keys.fingerprint(self._key.public_key())
        key_id = signing.KeyId(self.identity.tenancy_id, self.identity.managed_instance_id, fingerprint)
        return connection.open_session(
            self.identity.hub_url, self.ca_file, self.state.address(), self.doors.clock, key_id=key_id, key=self._key
        )

    def snapshot(self, *, is_repoint_tried: bool = False) -> plan.Snapshot:
        """The machine as it is, for the planner."""
        ours = frozenset(write_repositories.read_written(self.state).originals)
        seen = plan.Snapshot(
            in_use=self.state.address(),
            former=self.state.former_address(),
            desired=self.desired(),
            kind=self.target.kind,
            prefix=self.target.prefix,
            on_disk={},
            ours=ours,
            is_repoint_tried=is_repoint_tried,
        )
        paths = ours | set(plan.expected_files(seen, seen.in_use.client_address))
        return dataclasses.replace(seen, on_disk=write_repositories.read_files(self.target, paths))

    def write_files(self, address: ClientAddress | None) -> None:
        """Bring the root's files to an address; None brings back what was there before."""
        files = plan.expected_files(self.snapshot(), address)
        write_repositories.write_repositories(self.target, files, self.state, self.doors.disk)

    def adopt(self, address: state.AddressInUse) -> None:
        """Use an address for repositories and for the way to the hub, noting the former one first (design 8)."""
        self.state.write_former_address(self.state.address())
        self.state.write_address(address)
        self.write_files(address.client_address)

    def go_back(self) -> None:
        """Undo ``adopt``. The note goes last, so that a kill in between leads here again."""
        former = self.state.former_address()
        if former is not None:
            self.state.write_address(former)
            self.write_files(former.client_address)
            self.state.write_former_address(None)

    def rehearse(self, address: ClientAddress) -> list[Problem]:
        """What stands against an address. A first one replaces nothing, so only the way to the hub must hold."""
        desired = self.desired()
        in_use = self.state.address()
        if in_use.client_address is None:
            gateway = state.AddressInUse.of(address)
            if (gateway.host, gateway.proxy_port) == (in_use.host, in_use.proxy_port):
                return []
            return rehearsal.check_proxy(gateway, self.identity.hub_url, self.ca_file, self.doors.clock)
        applied = self.state.read("applied.json", state.Applied) or state.Applied()
        sources = desired.sources if desired else []
        return rehearsal.rehearse(
            address,
            [one for one in sources if one.is_enabled and one.source_id in applied.answered],
            hub_url=self.identity.hub_url,
            ca_file=self.ca_file,
            is_tls_verified=bool(desired and desired.is_tls_verified),
            wall_clock=self.doors.clock,
        )

    def open_pinned(self, wanted: Sequence[Visible] = ()) -> tuple[base.Manager, outcome.Outcome]:
        """The package manager with every source at one generation, and what could not be pinned."""
        desired, address = self.desired(), self.state.address().client_address
        found = pins.Pins({})
        source_of: dict[str, str] = {}
        files: dict[str, str] = {}
        if desired is not None and address is not None:
            all_of = plan.make_repositories(desired, address, self.target.kind, self.target.prefix)
            mirror = rehearsal.open_mirror(address, self.ca_file, is_tls_verified=desired.is_tls_verified)
            found = pins.find_pins(mirror, address, all_of.fitting, wanted)
            source_of = {
                repositories.repository_id(one): one.source_id for one in all_of.fitting if one.source_id in found.urls
            }
            files = repositories.render_pinned(all_of, found.urls)
            self._note_answered(found)
        write_repositories.write_pinned(self.target, files, self.doors.disk)
        manager = choice.open_manager(self.target, self.doors.programs, self.doors.disk, source_of)
        manager.prepare()
        return manager, outcome.Outcome(found.remarks, found.problems)

    def refresh_inventory(self, *, is_forced: bool) -> list[Problem]:
        """Take the inventory when it is due. Trouble is reported and the old one kept: it is better than none."""
        seen = self.state.read(inventory.FILE, state.SeenInventory)
        now = self.doors.clock.now()
        bare = choice.open_manager(self.target, self.doors.programs, self.doors.disk, {})
        if not is_forced and not inventory.is_due(seen, bare.database_stamp(), now):
            return []
        try:
            manager, prepared = self.open_pinned()
            said = manager.refresh() if prepared.problems == () else None
            problems = list(prepared.problems)
            if said is not None and not said.is_success:
                problems += manager.find_problems(said)
            taken = inventory.take_inventory(manager)
        except errors.StationmasterError as exc:
            return [Problem("InventoryFailed", str(exc))]
        acknowledged = seen.acknowledged_digest if seen else ""
        # With trouble it stays due, so that the next check-in tries again and still names the trouble.
        stamp = "" if problems else manager.database_stamp()
        self.state.write(inventory.FILE, state.SeenInventory(stamp, now, taken, acknowledged))
        return problems

    def _kept_keys(self) -> source_keys.KeptKeys:
        return self.state.read(source_keys.FILE, source_keys.KeptKeys) or source_keys.KeptKeys()

    def _note_answered(self, found: pins.Pins) -> None:
        applied = self.state.read("applied.json", state.Applied) or state.Applied()
        answered = tuple(sorted(found.urls))
        if answered != applied.answered and not found.problems:
            self.state.write("applied.json", state.Applied(applied.desired_digest, answered))
