"""Profiles on the wire. The discriminator is always sent: the SDK fails without it."""

from __future__ import annotations

import enum

from stationmaster.hub.api.decoding import ListQuery
from stationmaster.hub.api.wire.base import (
    ArchType,
    DefinedTags,
    Details,
    FreeformTags,
    Lifecycle,
    OsFamily,
    Shown,
    Vendor,
)
from stationmaster.hub.api.wire.sources import SoftwareSourceDetails
from stationmaster.hub.api.wire.stations import DisplayName, LongText


class ProfileType(enum.StrEnum):
    """What a profile gives to whoever registers with it."""

    SOFTWARESOURCE = "SOFTWARESOURCE"
    GROUP = "GROUP"
    LIFECYCLE = "LIFECYCLE"
    STATION = "STATION"
    WINDOWS_STANDALONE = "WINDOWS_STANDALONE"
    UBUNTU_STANDALONE = "UBUNTU_STANDALONE"


class RegistrationType(enum.StrEnum):
    """Where the machines of a profile run."""

    OCI_LINUX = "OCI_LINUX"
    NON_OCI_LINUX = "NON_OCI_LINUX"
    OCI_WINDOWS = "OCI_WINDOWS"
    AUTONOMOUS_LINUX = "AUTONOMOUS_LINUX"


class Profile(Shown, frozen=True):
    """What all profiles have; a STATION profile has nothing more."""

    id: str
    compartment_id: str
    display_name: str
    description: str | None
    management_station_id: str | None
    profile_type: str
    vendor_name: str
    os_family: str
    arch_type: str
    time_created: str
    time_modified: str
    profile_version: str
    lifecycle_state: str
    registration_type: str
    is_default_profile: bool
    is_service_provided_profile: bool
    freeform_tags: FreeformTags
    defined_tags: DefinedTags
    system_tags: DefinedTags


class SoftwareSourceProfile(Profile, frozen=True):
    """A profile that names software sources."""

    software_sources: list[SoftwareSourceDetails]


class ProfileSummary(Shown, frozen=True):
    """A profile in a list."""

    id: str
    display_name: str
    description: str | None
    compartment_id: str
    management_station_id: str | None
    profile_type: str
    registration_type: str
    vendor_name: str
    os_family: str
    arch_type: str
    time_created: str
    lifecycle_state: str
    is_default_profile: bool
    is_service_provided_profile: bool
    freeform_tags: FreeformTags
    defined_tags: DefinedTags
    system_tags: DefinedTags


class ProfileCollection(Shown, frozen=True):
    """A page of profiles."""

    items: list[ProfileSummary]


class ProfileVersion(Shown, frozen=True):
    """A profile as it was in one version (OSMH rule 72)."""

    id: str
    compartment_id: str
    display_name: str
    description: str | None
    management_station_id: str | None
    software_sources: list[SoftwareSourceDetails]
    profile_type: str
    vendor_name: str
    os_family: str
    arch_type: str
    time_created: str
    time_modified: str
    profile_version: str
    lifecycle_state: str
    registration_type: str
    is_default_profile: bool
    is_service_provided_profile: bool
    managed_instance_group: None = None
    lifecycle_environment: None = None
    lifecycle_stage: None = None


class CreateProfileDetails(Details, frozen=True, tag_field="profileType"):
    """A new profile."""

    display_name: DisplayName
    compartment_id: str
    description: LongText | None = None
    management_station_id: str | None = None
    registration_type: RegistrationType | None = None
    is_default_profile: bool | None = None
    vendor_name: Vendor | None = None
    os_family: OsFamily | None = None
    arch_type: ArchType | None = None
    freeform_tags: FreeformTags | None = None
    defined_tags: DefinedTags | None = None


class CreateSoftwareSourceProfileDetails(CreateProfileDetails, frozen=True, tag="SOFTWARESOURCE"):
    """With software sources; vendor, family and architecture must be given."""

    software_source_ids: list[str] | None = None


class CreateStationProfileDetails(CreateProfileDetails, frozen=True, tag="STATION"):
    """By which a host registers as the named station."""


CreateAny = CreateSoftwareSourceProfileDetails | CreateStationProfileDetails


class UpdateProfileDetails(Details, frozen=True):
    """What changes; everything that is left out, or null, stays."""

    display_name: DisplayName | None = None
    description: LongText | None = None
    is_default_profile: bool | None = None
    freeform_tags: FreeformTags | None = None
    defined_tags: DefinedTags | None = None


class SoftwareSourcesOfProfileDetails(Details, frozen=True):
    """Sources to attach or detach."""

    software_sources: list[str]


class StationOfProfileDetails(Details, frozen=True):
    """The station to attach or detach."""

    management_station_id: str


class ChangeProfileCompartmentDetails(Details, frozen=True):
    """The new compartment of a profile."""

    compartment_id: str


class ProfilesQuery(ListQuery, frozen=True):
    """Filters of the list of profiles."""

    compartment_id: str | None = None
    display_name: list[str] = []
    display_name_contains: str | None = None
    profile_type: list[ProfileType] = []
    profile_id: str | None = None
    os_family: OsFamily | None = None
    arch_type: ArchType | None = None
    registration_type: list[RegistrationType] = []
    is_default_profile: bool | None = None
    is_service_provided_profile: bool | None = None
    management_station: list[str] = []
    management_station_not_equal_to: list[str] = []
    profile_version: str | None = None
    vendor_name: Vendor | None = None
    lifecycle_state: Lifecycle | None = None
