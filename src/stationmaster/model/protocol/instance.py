"""What an instance and the hub say to each other: inventory, repositories, jobs."""

from __future__ import annotations

import datetime
import enum

from stationmaster.model.protocol.messages import ClientAddress, Message, Problem, SourceFormat, Visible
from stationmaster.model.protocol.registration import Facts


class Package(Message, frozen=True):
    """One installed package, or one that could be installed."""

    name: str
    version: str
    architecture: str
    time_installed: datetime.datetime | None = None
    available_version: str | None = None
    source_id: str | None = None


class Inventory(Message, frozen=True):
    """All installed packages, and those among them that a source could update (``available_version`` set)."""

    installed: list[Package]
    updatable: list[Package]


class InstanceSource(Message, frozen=True):
    """A source as an instance's package manager needs it; the base address is made from the client address (I12)."""

    source_id: str
    repo_id: str
    display_name: str
    format: SourceFormat
    suites: list[str] = []
    components: list[str] = []
    architectures: list[str] = []
    gpg_keys: list[str] = []
    is_gpg_checked: bool = True
    is_enabled: bool = True
    options: list[str] = []


class InstanceDesired(Message, frozen=True):
    """Everything an instance should be pointed at. ``address`` is adopted only after a rehearsal from the instance."""

    managed_instance_id: str
    address: ClientAddress | None
    ca: str
    sources: list[InstanceSource]
    is_tls_verified: bool = False


class Operation(enum.StrEnum):
    """What a job does on an instance; the values are OSMH's operation types."""

    INSTALL_PACKAGES = "INSTALL_PACKAGES"
    UPDATE_PACKAGES = "UPDATE_PACKAGES"
    REMOVE_PACKAGES = "REMOVE_PACKAGES"
    UPDATE_ALL = "UPDATE_ALL"
    UPDATE_SECURITY = "UPDATE_SECURITY"
    UPDATE_BUGFIX = "UPDATE_BUGFIX"
    UPDATE_ENHANCEMENT = "UPDATE_ENHANCEMENT"
    UPDATE_OTHER = "UPDATE_OTHER"
    REFRESH_SOFTWARE = "REFRESH_SOFTWARE"
    SET_SOFTWARE_SOURCES = "SET_SOFTWARE_SOURCES"


class Job(Message, frozen=True):
    """Work for an instance. ``visible`` are the generations it was dispatched for (I14, R3: jobs are pinned)."""

    work_request_id: str
    operation: Operation
    packages: list[str] = []
    visible: list[Visible] = []


class JobState(enum.StrEnum):
    """How far an instance is with a job."""

    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class LogLine(Message, frozen=True):
    """One line of a job's log."""

    time: datetime.datetime
    message: str


class JobReport(Message, frozen=True):
    """Numbered per work request from 1, kept by the agent until acknowledged; a repeated number changes nothing."""

    work_request_id: str
    number: int
    state: JobState
    percentage: int = 0
    log: list[LogLine] = []
    problems: list[Problem] = []


class Checkin(Message, frozen=True):
    """An agent's regular call. ``inventory`` is sent when its digest differs from the one the hub last acknowledged."""

    time_sent: datetime.datetime
    facts: Facts
    inventory_digest: str = ""
    inventory: Inventory | None = None
    desired_digest: str = ""
    applied_digest: str = ""
    address_in_use: ClientAddress | None = None
    is_reboot_required: bool = False
    reports: list[JobReport] = []
    problems: list[Problem] = []


class CheckinAnswer(Message, frozen=True):
    """``acknowledged`` maps a work request to the highest report number that is stored.

    ``is_leaving``: the instance was removed in the hub; it restores what it had before and calls ``leave``.
    """

    time_received: datetime.datetime
    checkin_seconds: float
    desired_digest: str
    desired: InstanceDesired | None = None
    is_inventory_wanted: bool = False
    acknowledged: dict[str, int] = {}
    jobs: list[Job] = []
    is_leaving: bool = False
