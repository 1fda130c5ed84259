"""OCIDs: ``ocid1.<type>.<realm>.<region>.<unique>``. We mint them; of foreign ones only the shape is checked."""

from __future__ import annotations

import enum
import re
import secrets
from collections.abc import Callable

from stationmaster.model import errors

REALM = "oc1"
_SHAPE = re.compile(r"ocid1\.([a-z0-9]+)\.[a-z0-9-]*\.[a-z0-9-]*\.[A-Za-z0-9._-]{1,200}")


class Kind(enum.StrEnum):
    """The resource types of this system, as they stand in an OCID."""

    TENANCY = "tenancy"
    COMPARTMENT = "compartment"
    USER = "user"
    STATION = "osmhmanagementstation"
    PROFILE = "osmhprofile"
    SOURCE = "osmhsoftwaresource"
    INSTANCE = "managementagent"
    SCHEDULED_JOB = "osmhscheduledjob"
    WORK_REQUEST = "osmhworkrequest"
    EVENT = "osmhevent"


def mint(kind: Kind, region: str, token: Callable[[], str] | None = None) -> str:
    """A new OCID; its last part is 160 random bits unless ``token`` says otherwise."""
    unique = token() if token else secrets.token_hex(20)
    return f"ocid1.{kind.value}.{REALM}.{region}.{unique}"


def require_ocid(text: str, *, field: str) -> str:
    """``text`` when it has the shape of an OCID; CallerError naming ``field`` otherwise."""
    if _SHAPE.fullmatch(text):
        return text
    raise errors.CallerError(
        f"{field} is {text[:80]!r}, which is no OCID.", hint="An OCID looks like ocid1.<type>.oc1.<region>.<unique>."
    )
