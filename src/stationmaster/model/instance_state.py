"""The shown status of a managed instance: a function of the times that are stored, computed nowhere else."""

from __future__ import annotations

import dataclasses
import datetime
import enum


class InstanceStatus(enum.StrEnum):
    """OSMH's values; the console's words beside them (rule 61)."""

    NORMAL = "NORMAL"  # active
    WARNING = "WARNING"  # inactive
    UNREACHABLE = "UNREACHABLE"  # offline
    ERROR = "ERROR"
    REGISTRATION_ERROR = "REGISTRATION_ERROR"
    ONBOARDING = "ONBOARDING"  # registering
    DELETING = "DELETING"  # unregistering
    REBOOTING = "REBOOTING"


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """After how long without a check-in an instance counts as inactive, and as offline (rule 60)."""

    inactive: datetime.timedelta = datetime.timedelta(minutes=30)
    offline: datetime.timedelta = datetime.timedelta(hours=24)


def instance_status(
    time_last_checkin: datetime.datetime | None,
    now: datetime.datetime,
    thresholds: Thresholds,
    *,
    is_leaving: bool = False,
) -> InstanceStatus:
    """Registered and never heard is ONBOARDING; silence turns NORMAL into WARNING, then UNREACHABLE."""
    if is_leaving:
        return InstanceStatus.DELETING
    if time_last_checkin is None:
        return InstanceStatus.ONBOARDING
    silence = now - time_last_checkin
    if silence >= thresholds.offline:
        return InstanceStatus.UNREACHABLE
    return InstanceStatus.WARNING if silence >= thresholds.inactive else InstanceStatus.NORMAL
