"""The hub's signed record of the group: believed by the signature of the hub's CA alone (R12, I9, ADR 22).

Of two records the one with the higher counter holds. It gives back what a station lost, or what its state directory
never knew because it is older than the volume: what is visible, sources, ports, peers, balancers. It confirms nobody:
until the hub answers, the station is of the last resort. Reading and judging only; `visible_store` has the files.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
from pathlib import Path

import msgspec
from cryptography import exceptions, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from stationmaster.model import errors, protocol
from stationmaster.model import visible_record as records
from stationmaster.station import board as boards
from stationmaster.station import snapshot as snapshots

_DIFFERS_AFTER = datetime.timedelta(seconds=15)


class RecordRefusedError(errors.HostError):
    """A record that the hub did not sign, or that cannot be understood."""

    code = "RecordRefused"


class Reader:
    """Checks records by the CA that this station was given when it registered; without one it keeps none.

    That the CA's time is over takes nothing away: it says who signed, and a station without the hub has no other.
    """

    def __init__(self, ca_pem: bytes) -> None:
        self._key: ec.EllipticCurvePublicKey | None = None
        if ca_pem.strip():
            key = x509.load_pem_x509_certificate(ca_pem).public_key()
            self._key = key if isinstance(key, ec.EllipticCurvePublicKey) else None

    @property
    def can_read(self) -> bool:
        """Whether there is a key to check by."""
        return self._key is not None

    def read(self, content: bytes) -> snapshots.RecordView:
        """A signed record; RecordRefusedError, in half a sentence, when the hub's CA did not sign it."""
        try:
            signed = msgspec.json.decode(content, type=protocol.SignedRecord)
            signature = base64.b64decode(signed.signature, validate=True)
        except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
            raise RecordRefusedError(f"it is damaged ({exc})") from exc
        raw = bytes(signed.record)
        if self._key is None:
            raise RecordRefusedError("this station has no CA to check it by")
        try:
            self._key.verify(signature, records.SIGNED_PREFIX + raw, ec.ECDSA(hashes.SHA256()))
        except exceptions.InvalidSignature as exc:
            raise RecordRefusedError("it is not signed by this station's hub, or was changed") from exc
        try:
            record = msgspec.json.decode(raw, type=records.VisibleRecord)
        except msgspec.MsgspecError as exc:
            raise RecordRefusedError(f"it is of a release that this one does not understand ({exc})") from exc
        if record.format_version != records.FORMAT_VERSION:
            raise RecordRefusedError(f"it has format {record.format_version}, this release knows format 1")
        return snapshots.RecordView(record=record, content=content)


def reader_of(ca: Path) -> Reader:
    """By the CA that came with the registration."""
    return Reader(ca.read_bytes() if ca.exists() else b"")


def encoded(signed: protocol.SignedRecord) -> bytes:
    """The bytes that are kept and checked; equal on all stations."""
    return msgspec.json.encode(signed)


def taken(
    present: snapshots.Snapshot, heard: snapshots.RecordView | None, now: datetime.datetime
) -> snapshots.Snapshot:
    """The snapshot after a record was read, wherever it came from. A lower one, or one of others, changes nothing.

    What is visible only rises (R8). What this station should be is taken from it as long as the hub has not answered
    since the start, and when it is newer than what the state directory says.
    """
    if heard is None or not heard.record.names(present.station_id) or not _is_newer(present, heard.record):
        return present
    told = boards.merge_visible(present.told, tuple(heard.record.visible))
    following = dataclasses.replace(present, record=dataclasses.replace(heard, time_taken=now), told=told)
    if present.contact.confirmed_at is not None or _is_known(present, heard.record):
        return following
    desired = records.desired_of(heard.record, present.station_id, present.desired, present.forward_proxy)
    if desired is None or desired == present.desired:
        return following
    return dataclasses.replace(following, desired=desired, desired_digest="")


def _is_newer(present: snapshots.Snapshot, heard: records.VisibleRecord) -> bool:
    """As `records.is_newer`; the hub's word about the group outweighs the times of records."""
    known = present.record.record if present.record is not None else None
    if present.contact.confirmed_at is None or present.desired is None or known is None:
        return records.is_newer(heard, known)
    if known.group_id != heard.group_id:
        return heard.group_id == present.desired.group_id
    return heard.counter > known.counter


def _is_known(present: snapshots.Snapshot, record: records.VisibleRecord) -> bool:
    """Whether the stored desired state is at least as new: it was stored with this record in force, or a later one."""
    stored = present.desired_record
    is_same_group = present.desired is not None and stored.group_id == record.group_id
    return is_same_group and stored.counter >= record.counter


def report(present: snapshots.Snapshot) -> protocol.RecordReport | None:
    """What the hub is told; None from a station that can check none."""
    if not present.can_read_records:
        return None
    in_force = present.record.record if present.record is not None else None
    return protocol.RecordReport(
        group_id=in_force.group_id if in_force is not None else "",
        counter=in_force.counter if in_force is not None else 0,
        volume_counter=volume_counter(present),
    )


def volume_counter(present: snapshots.Snapshot) -> int:
    """The counter of the record on the volume, of the group whose record is in force; 0 for none."""
    found = present.volume.record if present.volume is not None else None
    in_force = present.record.record if present.record is not None else None
    if found is None or in_force is None or found.record.group_id != in_force.group_id:
        return 0
    return found.record.counter


def problems(present: snapshots.Snapshot, now: datetime.datetime) -> list[protocol.Problem]:
    """What was refused, and whether volume and state say different things for longer than writing takes."""
    found = [present.record_problem] if present.record_problem is not None else []
    if present.volume is None or present.volume.problem is not None:
        return found
    found += [present.volume.record_problem] if present.volume.record_problem is not None else []
    in_force, counter = present.record, volume_counter(present)
    is_settled = in_force is not None and in_force.time_taken is not None and now - in_force.time_taken > _DIFFERS_AFTER
    if in_force is not None and is_settled and counter != in_force.record.counter:
        message = (
            f"The visible record in force is {in_force.record.counter}, the volume has {counter or 'none'}: a station "
            f"that loses its state directory would come back with what the volume says. It is written when the volume "
            f"at {present.volume.directory} can be."
        )
        found.append(protocol.Problem(code="RecordDiffers", message=message))
    return found
