"""What all wire models share: their base, times, tags and the enumerations."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Mapping
from typing import Any

import msgspec

FreeformTags = dict[str, str]
DefinedTags = dict[str, dict[str, Any]]
_OWN_NAMESPACE = "Oracle-Tags"


class Shown(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """Base of what is answered: nulls, empty arrays and empty maps are all sent."""


class Details(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Base of what is asked: a field that does not exist is refused, since it was meant to do something."""


class Lifecycle(enum.StrEnum):
    """Lifecycle states of most resources."""

    CREATING = "CREATING"
    UPDATING = "UPDATING"
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    DELETING = "DELETING"
    DELETED = "DELETED"
    FAILED = "FAILED"


class SourceLifecycle(enum.StrEnum):
    """Lifecycle states of a software source (OSMH rule 90)."""

    CREATING = "CREATING"
    UPDATING = "UPDATING"
    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"
    DELETING = "DELETING"
    DELETED = "DELETED"
    FAILED = "FAILED"
    NEEDS_ATTENTION = "NEEDS_ATTENTION"


class OsFamily(enum.StrEnum):
    """OSMH's families; the DEBIAN ones are our extension (design section 12)."""

    ORACLE_LINUX_10 = "ORACLE_LINUX_10"
    ORACLE_LINUX_9 = "ORACLE_LINUX_9"
    ORACLE_LINUX_8 = "ORACLE_LINUX_8"
    ORACLE_LINUX_7 = "ORACLE_LINUX_7"
    ORACLE_LINUX_6 = "ORACLE_LINUX_6"
    WINDOWS_SERVER_2016 = "WINDOWS_SERVER_2016"
    WINDOWS_SERVER_2019 = "WINDOWS_SERVER_2019"
    WINDOWS_SERVER_2022 = "WINDOWS_SERVER_2022"
    WINDOWS_SERVER_2025 = "WINDOWS_SERVER_2025"
    WINDOWS_11 = "WINDOWS_11"
    ALL = "ALL"
    UBUNTU_20_04 = "UBUNTU_20_04"
    UBUNTU_22_04 = "UBUNTU_22_04"
    UBUNTU_24_04 = "UBUNTU_24_04"
    DEBIAN_11 = "DEBIAN_11"
    DEBIAN_12 = "DEBIAN_12"
    DEBIAN_13 = "DEBIAN_13"

    @property
    def is_deb(self) -> bool:
        """Whether its repositories are DEB."""
        return self.startswith(("UBUNTU_", "DEBIAN_"))

    @property
    def is_windows(self) -> bool:
        """Whether nothing of it is ever mirrored."""
        return self.startswith("WINDOWS_")


class ArchType(enum.StrEnum):
    """Architectures of stations, sources and profiles."""

    X86_64 = "X86_64"
    AARCH64 = "AARCH64"
    I686 = "I686"
    NOARCH = "NOARCH"
    SRC = "SRC"
    I386 = "I386"
    AMD64 = "AMD64"
    ARM64 = "ARM64"
    ALL = "ALL"

    @property
    def machine(self) -> str:
        """The kind of machine behind the name; RPM and DEB call the same one differently."""
        return {"AMD64": "X86_64", "ARM64": "AARCH64", "I386": "I686"}.get(self.value, self.value)


class Location(enum.StrEnum):
    """Where a machine runs."""

    ON_PREMISE = "ON_PREMISE"
    OCI_COMPUTE = "OCI_COMPUTE"
    AZURE = "AZURE"
    EC2 = "EC2"
    GCP = "GCP"


class Vendor(enum.StrEnum):
    """Vendors of operating systems."""

    ORACLE = "ORACLE"
    MICROSOFT = "MICROSOFT"
    CANONICAL = "CANONICAL"
    DEBIAN = "DEBIAN"  # our extension, beside the DEBIAN families


class Availability(enum.StrEnum):
    """Whether a source can be used somewhere (OSMH rule 85)."""

    AVAILABLE = "AVAILABLE"
    SELECTED = "SELECTED"
    RESTRICTED = "RESTRICTED"
    UNAVAILABLE = "UNAVAILABLE"


class SourceType(enum.StrEnum):
    """Kinds of software sources."""

    VENDOR = "VENDOR"
    CUSTOM = "CUSTOM"
    VERSIONED = "VERSIONED"
    PRIVATE = "PRIVATE"
    THIRD_PARTY = "THIRD_PARTY"


def moment(time: datetime.datetime) -> str:
    """A time as the real service writes it: milliseconds and ``Z``."""
    return time.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_or_none(time: datetime.datetime | None) -> str | None:
    """A time that may be missing."""
    return None if time is None else moment(time)


def shown_tags(defined: Mapping[str, Any], created_by: str, time_created: datetime.datetime) -> DefinedTags:
    """Defined tags as they are shown: with who made the resource, and when."""
    own = {"CreatedBy": created_by, "CreatedOn": moment(time_created)}
    return {**{name: dict(value) for name, value in defined.items()}, _OWN_NAMESPACE: own}


def kept_tags(defined: DefinedTags | None) -> DefinedTags:
    """Defined tags as they are stored: what a client read and sends back with its own is not its to set."""
    return {name: value for name, value in (defined or {}).items() if name != _OWN_NAMESPACE}
