"""Management stations on the wire (OSMH models of the same names)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from stationmaster.hub.api.decoding import ListQuery
from stationmaster.hub.api.wire.base import (
    ArchType,
    DefinedTags,
    Details,
    FreeformTags,
    Lifecycle,
    Location,
    OsFamily,
    Shown,
)
from stationmaster.model import protocol

DisplayName = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
LongText = Annotated[str, msgspec.Meta(max_length=1024)]


class ProxyConfiguration(Shown, frozen=True):
    """The proxy block of a station; ports are strings (OSMH rule 22)."""

    is_enabled: bool
    hosts: list[str]
    port: str
    forward: str | None


class MirrorConfiguration(Shown, frozen=True):
    """The mirror block of a station."""

    directory: str
    port: str
    sslport: str
    sslcert: str | None
    is_sslverify_enabled: bool


class MirrorSyncStatus(Shown, frozen=True):
    """How many mirrors are in each state."""

    unsynced: int
    queued: int
    syncing: int
    synced: int
    failed: int


class StationHealth(Shown, frozen=True):
    """Health with its reason."""

    state: str
    description: str


class PeerManagementStation(Shown, frozen=True):
    """Another station of the group (I1)."""

    id: str
    display_name: str


class ManagementStation(Shown, frozen=True):
    """A station in full."""

    id: str
    managed_instance_id: str | None
    compartment_id: str
    scheduled_job_id: str | None
    profile_id: str | None
    display_name: str
    description: str | None
    hostname: str
    overall_state: str
    overall_percentage: int
    mirror_capacity: int
    total_mirrors: int
    mirror_sync_status: MirrorSyncStatus
    proxy: ProxyConfiguration
    mirror: MirrorConfiguration
    health: StationHealth
    lifecycle_state: str
    is_auto_config_enabled: bool
    peer_management_stations: list[PeerManagementStation]
    location: str | None
    mirror_storage_available_size: int
    mirror_storage_size: int
    mirror_size: int
    mirror_unique_package_count: int
    mirror_package_count: int
    os_family: str
    arch_type: str
    freeform_tags: FreeformTags
    defined_tags: DefinedTags
    system_tags: DefinedTags


class ManagementStationSummary(Shown, frozen=True):
    """A station in a list."""

    id: str
    managed_instance_id: str | None
    compartment_id: str
    profile_id: str | None
    scheduled_job_id: str | None
    time_next_execution: str | None
    display_name: str
    description: str | None
    hostname: str
    overall_state: str
    health_state: str
    overall_percentage: int
    mirror_capacity: int
    lifecycle_state: str
    location: str | None
    os_family: str
    arch_type: str
    freeform_tags: FreeformTags
    defined_tags: DefinedTags
    system_tags: DefinedTags


class ManagementStationCollection(Shown, frozen=True):
    """A page of stations."""

    items: list[ManagementStationSummary]


class MirrorSummary(Shown, frozen=True):
    """One mirror of a station; its id is the software source's."""

    id: str
    display_name: str
    type: str
    os_family: str
    arch_type: str
    state: str
    percentage: int
    time_last_synced: str | None
    log: str
    package_count: int
    size: int


class MirrorsCollection(Shown, frozen=True):
    """A page of mirrors."""

    items: list[MirrorSummary]


class ProxyDetails(Details, frozen=True):
    """The proxy block as it is sent, at creation and update alike (OSMH rule 20)."""

    is_enabled: bool
    hosts: list[str] | None = None
    port: str | None = None
    forward: str | None = None


class MirrorDetails(Details, frozen=True):
    """The mirror block as it is sent, at creation and update alike (OSMH rule 20)."""

    directory: str
    port: str
    sslport: str
    sslcert: str | None = None
    is_sslverify_enabled: bool | None = None


class CreateManagementStationDetails(Details, frozen=True):
    """A new station."""

    compartment_id: str
    display_name: DisplayName
    hostname: str
    proxy: ProxyDetails
    mirror: MirrorDetails
    description: LongText | None = None
    is_auto_config_enabled: bool | None = None
    os_family: OsFamily | None = None
    arch_type: ArchType | None = None
    freeform_tags: FreeformTags | None = None
    defined_tags: DefinedTags | None = None


class UpdateManagementStationDetails(Details, frozen=True):
    """What changes; everything that is left out, or null, stays."""

    display_name: DisplayName | None = None
    description: LongText | None = None
    hostname: str | None = None
    is_auto_config_enabled: bool | None = None
    os_family: OsFamily | None = None
    arch_type: ArchType | None = None
    proxy: ProxyDetails | None = None
    mirror: MirrorDetails | None = None
    freeform_tags: FreeformTags | None = None
    defined_tags: DefinedTags | None = None


class ChangeCompartmentDetails(Details, frozen=True):
    """The new compartment of a station or source."""

    compartment_id: str


class SynchronizeMirrorsDetails(Details, frozen=True):
    """Which mirrors to sync; "all" means naming all (OSMH rule 51)."""

    software_source_list: list[str]


class StationsQuery(ListQuery, frozen=True):
    """Filters of the list of stations."""

    compartment_id: str | None = None
    display_name: str | None = None
    display_name_contains: str | None = None
    lifecycle_state: Lifecycle | None = None
    managed_instance_id: str | None = None
    location: list[Location] = []
    location_not_equal_to: list[Location] = []
    id: str | None = None
    health_state: Literal["HEALTHY", "UNHEALTHY", "UNAVAILABLE"] | None = None


class MirrorsQuery(ListQuery, frozen=True):
    """Filters of the list of mirrors."""

    display_name: str | None = None
    display_name_contains: str | None = None
    mirror_states: list[protocol.MirrorState] = []
