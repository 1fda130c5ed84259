"""How the hub's signed word about a group travels (R12, ADR 22); what it says is `model.visible_record`'s."""

from __future__ import annotations

import msgspec

from stationmaster.model.protocol.messages import Message


class SignedRecord(Message, frozen=True):
    """The bytes that were signed, as they are, and the signature over them.

    ``signature`` is by the key of the hub's CA: ECDSA with SHA-256, DER, in base64.
    """

    signature: str
    record: msgspec.Raw


class RecordReport(Message, frozen=True):
    """Which record a station holds in force (counter 0: none yet), and which one it reads on its volume."""

    group_id: str = ""
    counter: int = 0
    volume_counter: int = 0
