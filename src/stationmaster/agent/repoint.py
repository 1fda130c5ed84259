"""Moves this instance to an address by hand, in the same two phases as at a check-in (design 8)."""

from __future__ import annotations

from pathlib import Path

from stationmaster.agent import doors, instance, rehearsal, state
from stationmaster.model import addresses, errors, groups, ports, protocol


def repoint(
    state_directory: Path,
    through: doors.Doors,
    *,
    host: str | None,
    chosen: tuple[int | None, int | None, int | None],
    is_dry_run: bool,
) -> protocol.ClientAddress:
    """Move to ``host`` and the ports that are given (proxy, HTTP, HTTPS), the others as in use; returns the address.

    PeerError with every finding when the rehearsal fails; nothing has changed then.
    """
    one = instance.Instance(state.StateDirectory(state_directory, through.disk), through)
    one.go_back()
    address = _new_address(one, host, chosen)
    found = one.rehearse(address)
    if found:
        raise errors.PeerError(
            f"{address.host} cannot be used from here: " + " ".join(problem.message for problem in found),
            hint="Nothing was changed.",
            code=found[0].code,
        )
    if is_dry_run:
        return address
    one.adopt(state.AddressInUse.of(address))
    gateway = one.state.address()
    proof = rehearsal.check_proxy(gateway, one.identity.hub_url, one.ca_file, through.clock)
    if proof:
        one.go_back()
        raise errors.PeerError(
            f"Moved to {address.host} and back: {proof[0].message}", hint="Nothing was changed.", code="RepointUndone"
        )
    one.state.write_former_address(None)
    return address


def _new_address(
    one: instance.Instance, host: str | None, chosen: tuple[int | None, int | None, int | None]
) -> protocol.ClientAddress:
    in_use = one.state.address()
    current = in_use.client_address
    if current is None:
        raise errors.IncorrectStateError(
            "This instance has no repositories yet, so there is nothing to move.",
            hint=f"Run `stationmaster agent run --state-dir {one.state.path} --once` first.",
        )
    given = zip(chosen, (current.ports.proxy, current.ports.http, current.ports.https), strict=True)
    triple = ports.PortTriple(*(wanted if wanted is not None else now for wanted, now in given))
    name = addresses.require_host(host, field="--host") if host else current.host
    return groups.client_address(name, triple, is_mirror_tls=current.is_mirror_tls)
