"""How a machine becomes known."""

from __future__ import annotations

import enum

from stationmaster.model.protocol.messages import Message


class MachineKind(enum.StrEnum):
    """What a machine registers as; fixed by the type of the profile whose key it shows."""

    STATION = "STATION"
    INSTANCE = "INSTANCE"


class PackageManager(enum.StrEnum):
    """Which of the machine's own package managers is configured and used."""

    DNF = "dnf"
    APT = "apt"
    ZYPPER = "zypper"


class Facts(Message, frozen=True):
    """What a machine says about itself."""

    host_name: str
    os_name: str
    os_version: str
    kernel_version: str
    architecture: str
    package_manager: PackageManager | None = None
    agent_version: str = ""


class RegistrationRequest(Message, frozen=True):
    """A machine asks to be known. The same key and public key again give the same answer, so it may be repeated."""

    registration_key: str
    public_key: str
    kind: MachineKind
    facts: Facts
    address: str | None = None


class RegistrationAnswer(Message, frozen=True):
    """Who the machine now is. ``station_id`` for stations only; ``region`` and ``tenancy_id`` make its key id."""

    tenancy_id: str
    managed_instance_id: str
    station_id: str | None = None
    mirror_directory: str | None = None
    display_name: str = ""
