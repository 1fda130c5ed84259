"""A machine becomes known: a managed instance with its key, and for a station profile the station's host.

The same registration key with the same public key gives the same machine, so that a lost answer may be asked for again,
also when the key has been used up since.
"""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import rsa

from stationmaster.api_client import keys
from stationmaster.hub import context
from stationmaster.hub.db import schema
from stationmaster.hub.services import events, facts, jobs, registration_keys
from stationmaster.hub.services.work_requests import clean
from stationmaster.model import addresses, errors, ocid, protocol

Request = protocol.RegistrationRequest


def register(
    tx: sa.Connection, now: datetime.datetime, hub: context.Hub, request: Request, *, request_id: str
) -> protocol.RegistrationAnswer:
    """Who the machine now is. Errors say what is wrong with the key, the profile or the request."""
    machine_key = keys.load_public_key(request.public_key)
    fingerprint = keys.fingerprint(machine_key)
    key = registration_keys.find_key(tx, request.registration_key)
    table = schema.registrations
    this = sa.and_(table.c.key_digest == key.key_digest, table.c.fingerprint == fingerprint)
    former = tx.execute(sa.select(table).where(this)).one_or_none()
    if former is not None:
        return _repeat(tx, hub, former)
    registration_keys.require_usable(key, now)
    profile = registration_keys.find_profile(tx, key.profile_id)
    _require_kind(request, profile)
    if request.kind is protocol.MachineKind.STATION:
        answer = _register_station(tx, now, hub, request, profile)
    else:
        answer = _register_instance(tx, now, hub, request, profile)
    registration_keys.use_key(tx, key)
    _store_machine_key(tx, now, hub, answer, machine_key)
    tx.execute(
        table.insert().values(
            key_digest=key.key_digest,
            fingerprint=fingerprint,
            managed_instance_id=answer.managed_instance_id,
            station_id=answer.station_id,
            time_registered=now,
        )
    )
    events.record(
        tx,
        now,
        events.EventKind.MACHINE_REGISTERED,
        events.Subject(answer.managed_instance_id, answer.display_name, profile.compartment_id),
        f"{_clipped(request.facts.host_name)} registered as {request.kind.lower()} by profile {profile.display_name}.",
        actor=events.Actor(answer.managed_instance_id, request_id),
        data={"profileId": profile.id, "stationId": answer.station_id},
    )
    return answer


def _repeat(tx: sa.Connection, hub: context.Hub, former: sa.Row[Any]) -> protocol.RegistrationAnswer:
    table = schema.managed_instances
    instance = tx.execute(sa.select(table).where(table.c.id == former.managed_instance_id)).one_or_none()
    if instance is None:
        raise errors.ConflictError(
            "This machine registered with this key before and was unregistered since.",
            hint="Make a new response file and a new machine key.",
        )
    station = facts.find_station(tx, former.station_id) if former.station_id else None
    return protocol.RegistrationAnswer(
        tenancy_id=hub.tenancy_id,
        managed_instance_id=instance.id,
        station_id=former.station_id,
        mirror_directory=station.mirror_directory if station else None,
        display_name=station.display_name if station else instance.display_name,
    )


def _require_kind(request: Request, profile: sa.Row[Any]) -> None:
    is_station = profile.profile_type == "STATION"
    if is_station == (request.kind is protocol.MachineKind.STATION):
        return
    wanted, command = ("a station", "station register") if is_station else ("an instance", "agent register")
    raise errors.CallerError(
        f"The registration key belongs to the profile {profile.display_name}, which registers {wanted}.",
        hint=f"Use `stationmaster {command}`, or the response file of another profile.",
    )


def _register_station(
    tx: sa.Connection, now: datetime.datetime, hub: context.Hub, request: Request, profile: sa.Row[Any]
) -> protocol.RegistrationAnswer:
    station = facts.find_station(tx, profile.management_station_id)
    instance_id = station.managed_instance_id
    if instance_id is None:
        instance_id = _insert_instance(tx, now, hub, request, profile, is_management_station=True)
        job_id = jobs.create_sync_job(tx, now, station, instance_id)
    else:
        # The host was rebuilt: the station keeps its identity, and the old host's key stops working.
        tx.execute(schema.api_keys.delete().where(schema.api_keys.c.principal_id == instance_id))
        job_id = station.scheduled_job_id
    values: dict[str, Any] = {
        "managed_instance_id": instance_id,
        "scheduled_job_id": job_id,
        "location": station.location or "ON_PREMISE",
        "time_updated": now,
        "revision": station.revision + 1,
    }
    if request.address is not None:
        values["addresses"] = [_require_address(request.address)]
    tx.execute(schema.stations.update().where(schema.stations.c.id == station.id).values(values))
    return protocol.RegistrationAnswer(
        tenancy_id=hub.tenancy_id,
        managed_instance_id=instance_id,
        station_id=station.id,
        mirror_directory=station.mirror_directory,
        display_name=station.display_name,
    )


def _register_instance(
    tx: sa.Connection, now: datetime.datetime, hub: context.Hub, request: Request, profile: sa.Row[Any]
) -> protocol.RegistrationAnswer:
    contained = schema.profile_sources.c
    source_ids = (
        tx.execute(
            sa.select(contained.source_id).where(contained.profile_id == profile.id).order_by(contained.position)
        )
        .scalars()
        .all()
    )
    if not source_ids:
        raise errors.ConflictError(
            f"The profile {profile.display_name} has no content, so nothing can register with it.",
            hint="Attach software sources to the profile first.",
        )
    require_registered_station(tx, profile)
    instance_id = _insert_instance(tx, now, hub, request, profile, is_management_station=False)
    tx.execute(
        schema.instance_sources.insert(),
        [
            {"managed_instance_id": instance_id, "source_id": one, "is_enabled": True, "time_attached": now}
            for one in source_ids
        ],
    )
    return protocol.RegistrationAnswer(
        tenancy_id=hub.tenancy_id, managed_instance_id=instance_id, display_name=_clipped(request.facts.host_name)
    )


def require_registered_station(tx: sa.Connection, profile: sa.Row[Any]) -> None:
    """A profile for machines outside OCI names a station, which has registered (OSMH rules 2, 73)."""
    if profile.registration_type == "OCI_LINUX":
        return
    if profile.management_station_id is None:
        raise errors.ConflictError(
            f"The profile {profile.display_name} names no management station.", hint="Attach one to the profile first."
        )
    station = facts.find_station(tx, profile.management_station_id)
    if station.managed_instance_id is None:
        raise errors.ConflictError(
            f"The management station {station.display_name} of the profile has not registered yet (OSMH rule 2).",
            hint="Register the station first.",
        )


def _insert_instance(
    tx: sa.Connection,
    now: datetime.datetime,
    hub: context.Hub,
    request: Request,
    profile: sa.Row[Any],
    *,
    is_management_station: bool,
) -> str:
    instance_id = ocid.mint(ocid.Kind.INSTANCE, hub.region)
    told = request.facts
    tx.execute(
        schema.managed_instances.insert().values(
            id=instance_id,
            compartment_id=profile.compartment_id,
            display_name=_clipped(told.host_name),
            location="OCI_COMPUTE" if profile.registration_type == "OCI_LINUX" else "ON_PREMISE",
            host_name=_clipped(told.host_name),
            os_name=_clipped(told.os_name),
            os_version=_clipped(told.os_version),
            os_kernel_version=_clipped(told.kernel_version),
            os_family=profile.os_family,
            architecture=profile.arch_type,
            package_manager=told.package_manager.value if told.package_manager else None,
            agent_version=clean(told.agent_version, 64),
            lifecycle_state="ONBOARDING",
            profile_id=profile.id,
            profile_version=profile.profile_version,
            is_management_station=is_management_station,
            primary_station_id=None if is_management_station else profile.management_station_id,
            are_sources_managed=not is_management_station,
            is_reboot_required=False,
            installed_packages=0,
            updates_available=0,
            desired_digest="",
            applied_digest="",
            problems=[],
            time_created=now,
            time_updated=now,
            revision=1,
        )
    )
    return instance_id


def _store_machine_key(
    tx: sa.Connection,
    now: datetime.datetime,
    hub: context.Hub,
    answer: protocol.RegistrationAnswer,
    machine_key: rsa.RSAPublicKey,
) -> None:
    principals, machine_id = schema.principals, answer.managed_instance_id
    known = tx.execute(sa.select(principals.c.id).where(principals.c.id == machine_id)).one_or_none()
    if known is None:
        tx.execute(
            principals.insert().values(
                id=machine_id,
                kind="MACHINE",
                name=answer.display_name,
                tenancy_id=hub.tenancy_id,
                time_created=now,
            )
        )
    tx.execute(
        schema.api_keys.insert().values(
            principal_id=machine_id,
            fingerprint=keys.fingerprint(machine_key),
            public_key=keys.public_pem(machine_key),
            time_created=now,
        )
    )


def _require_address(text: str) -> str:
    canonical = addresses.canonical_host(text)
    if not addresses.is_address(canonical):
        raise errors.CallerError(
            f"address is {text[:100]!r}, which is no IP address.",
            hint="Give the address at which balancer and peers reach this station.",
        )
    return canonical


def _clipped(text: str) -> str:
    return clean(text, 255) or "unnamed"
