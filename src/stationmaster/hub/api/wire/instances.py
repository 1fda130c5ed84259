"""Managed instances and their packages on the wire (OSMH models of the same names)."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

import msgspec

from stationmaster.hub.api.decoding import ListQuery
from stationmaster.hub.api.wire.base import ArchType, Details, Location, OsFamily, Shown
from stationmaster.hub.api.wire.sources import SoftwareSourceDetails
from stationmaster.hub.api.wire.stations import LongText
from stationmaster.model.instance_state import InstanceStatus

PackageName = Annotated[
    str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9@(/][A-Za-z0-9.+:~_()@^=*/-]*$")
]
PackageNames = Annotated[list[PackageName], msgspec.Meta(min_length=1, max_length=1000)]


class WorkRequestDetails(Details, frozen=True):
    """What a caller wants the work request to be called."""

    display_name: Annotated[str, msgspec.Meta(max_length=255)] | None = None
    description: LongText | None = None


class ManagedInstance(Shown, frozen=True):
    """An instance in full."""

    id: str
    display_name: str
    description: str | None
    tenancy_id: str
    compartment_id: str
    location: str
    time_last_checkin: str | None
    time_last_boot: str | None
    os_name: str | None
    os_version: str | None
    os_kernel_version: str | None
    ksplice_effective_kernel_version: str | None
    architecture: str | None
    os_family: str | None
    status: str
    profile: str | None
    profile_version: str | None
    is_management_station: bool
    primary_management_station_id: str | None
    secondary_management_station_id: str | None
    software_sources: list[SoftwareSourceDetails]
    managed_instance_group: None
    lifecycle_environment: None
    lifecycle_stage: None
    is_reboot_required: bool
    installed_packages: int
    installed_windows_updates: int
    updates_available: int
    security_updates_available: int
    bug_updates_available: int
    enhancement_updates_available: int
    other_updates_available: int
    scheduled_job_count: int
    work_request_count: int
    time_created: str
    time_updated: str
    notification_topic_id: str | None
    autonomous_settings: None
    is_managed_by_autonomous_linux: bool
    agent_version: str
    are_sources_managed: bool
    time_last_software_refresh: str | None


class ManagedInstanceSummary(Shown, frozen=True):
    """An instance in a list."""

    id: str
    display_name: str
    description: str | None
    tenancy_id: str
    compartment_id: str
    location: str
    architecture: str | None
    os_family: str | None
    status: str
    managed_instance_group: None
    lifecycle_environment: None
    lifecycle_stage: None
    is_reboot_required: bool
    updates_available: int
    is_management_station: bool
    notification_topic_id: str | None
    autonomous_settings: None
    is_managed_by_autonomous_linux: bool
    agent_version: str
    time_last_boot: str | None


class Collection(Shown, frozen=True):
    """A page of anything."""

    items: list[Any]


class PackageSummary(Shown, frozen=True):
    """A package of an instance. The discriminator is always sent: the SDK fails without it."""

    display_name: str
    name: str
    type: str
    version: str
    architecture: str
    package_classification: str
    software_sources: list[SoftwareSourceDetails]
    time_installed: str | None = None
    time_issued: str | None = None
    installed_version: str | None = None
    update_type: str | None = None
    errata: list[str] = []
    related_cves: list[str] = []
    advisory_severity: str | None = None


class UpdateManagedInstanceDetails(Details, frozen=True):
    """What changes; everything that is left out, or null, stays."""

    description: LongText | None = None
    primary_management_station_id: str | None = None
    secondary_management_station_id: str | None = None
    notification_topic_id: str | None = None
    autonomous_settings: dict[str, Any] | None = None


class AssociateDetails(Details, frozen=True):
    """Instances that are to use a station."""

    managed_instances: Annotated[list[str], msgspec.Meta(min_length=1, max_length=1000)]
    work_request_details: WorkRequestDetails | None = None


class PackagesDetails(Details, frozen=True):
    """Packages to install or remove."""

    package_names: PackageNames
    work_request_details: WorkRequestDetails | None = None


class ProfileDetails(Details, frozen=True):
    """The profile to attach."""

    profile_id: str


class SourcesDetails(Details, frozen=True):
    """Software sources to attach or detach."""

    software_sources: Annotated[list[str], msgspec.Meta(min_length=1, max_length=200)]
    work_request_details: WorkRequestDetails | None = None


UpdateType = Literal["SECURITY", "BUGFIX", "ENHANCEMENT", "OTHER", "KSPLICE_KERNEL", "KSPLICE_USERSPACE", "ALL"]


class UpdatePackagesDetails(Details, frozen=True):
    """Which packages, or which kinds of updates; neither means all."""

    package_names: PackageNames | None = None
    update_types: list[UpdateType] | None = None
    work_request_details: WorkRequestDetails | None = None


class UpdateAllInCompartmentDetails(Details, frozen=True):
    """Updates for every instance of a compartment."""

    compartment_id: str
    update_types: list[UpdateType] | None = None
    work_request_details: WorkRequestDetails | None = None


class InstancesQuery(ListQuery, frozen=True):
    """Filters of the list of instances."""

    compartment_id: str | None = None
    display_name: list[str] = []
    display_name_contains: str | None = None
    managed_instance_id: str | None = None
    status: list[InstanceStatus] = []
    arch_type: list[ArchType] = []
    os_family: list[OsFamily] = []
    is_management_station: bool | None = None
    group: str | None = None
    group_not_equal_to: str | None = None
    lifecycle_stage: str | None = None
    lifecycle_stage_not_equal_to: str | None = None
    is_attached_to_group_or_lifecycle_stage: bool | None = None
    software_source_id: str | None = None
    advisory_name: list[str] = []
    lifecycle_environment: str | None = None
    lifecycle_environment_not_equal_to: str | None = None
    location: list[Location] = []
    location_not_equal_to: list[Location] = []
    profile: list[str] = []
    profile_not_equal_to: list[str] = []
    is_profile_attached: bool | None = None
    is_managed_by_autonomous_linux: bool | None = None
    agent_version: str | None = None
    management_station: list[str] = []
    management_station_not_equal_to: list[str] = []
    is_reboot_required: bool | None = None


class PackagesQuery(ListQuery, frozen=True):
    """Filters of the lists of packages."""

    sort_by: Literal["timeCreated", "displayName", "timeInstalled"] = "displayName"  # type: ignore[assignment]
    display_name: list[str] = []
    display_name_contains: str | None = None
    compartment_id: str | None = None
    time_install_date_start: datetime.datetime | None = None
    time_install_date_end: datetime.datetime | None = None
    classification_type: list[str] = []
    advisory_name: list[str] = []
    advisory_severity: list[str] = []
