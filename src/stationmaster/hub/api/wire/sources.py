"""Software sources on the wire. The discriminator is always sent: the SDK fails without it."""

from __future__ import annotations

from stationmaster.hub.api.decoding import ListQuery
from stationmaster.hub.api.wire.base import (
    ArchType,
    Availability,
    DefinedTags,
    Details,
    FreeformTags,
    OsFamily,
    Shown,
    SourceLifecycle,
    SourceType,
    Vendor,
)
from stationmaster.hub.api.wire.stations import DisplayName, LongText


class SoftwareSource(Shown, frozen=True):
    """A PRIVATE or THIRD_PARTY source in full."""

    id: str
    compartment_id: str
    display_name: str
    time_created: str
    description: str | None
    software_source_type: str
    availability: str
    availability_at_oci: str
    repo_id: str
    os_family: str
    arch_type: str
    lifecycle_state: str
    package_count: int
    url: str
    checksum_type: str | None
    gpg_key_url: str | None
    gpg_key_id: str | None
    gpg_key_fingerprint: str | None
    size: float
    freeform_tags: FreeformTags
    defined_tags: DefinedTags
    system_tags: DefinedTags
    is_gpg_check_enabled: bool
    is_ssl_verify_enabled: bool
    advanced_repo_options: str | None
    is_mirror_sync_allowed: bool


class SoftwareSourceSummary(Shown, frozen=True):
    """A PRIVATE or THIRD_PARTY source in a list."""

    id: str
    compartment_id: str
    display_name: str
    repo_id: str
    url: str
    time_created: str
    time_updated: str
    description: str | None
    software_source_type: str
    availability: str
    availability_at_oci: str
    os_family: str
    arch_type: str
    package_count: int
    lifecycle_state: str
    size: float
    freeform_tags: FreeformTags
    defined_tags: DefinedTags
    system_tags: DefinedTags
    is_mirror_sync_allowed: bool


class SoftwareSourceCollection(Shown, frozen=True):
    """A page of sources."""

    items: list[SoftwareSourceSummary]


class SoftwareSourceDetails(Shown, frozen=True):
    """A source as a profile or instance names it."""

    id: str
    display_name: str
    description: str | None
    software_source_type: str
    is_mandatory_for_autonomous_linux: bool = False


class AvailableSoftwareSourceSummary(Shown, frozen=True):
    """A source that could be attached."""

    id: str
    compartment_id: str
    display_name: str
    software_source_type: str
    description: str | None


class AvailableSoftwareSourceCollection(Shown, frozen=True):
    """A page of sources that could be attached."""

    items: list[AvailableSoftwareSourceSummary]


class CreateSoftwareSourceDetails(Details, frozen=True, tag_field="softwareSourceType"):
    """A new source by URL."""

    compartment_id: str
    os_family: OsFamily
    arch_type: ArchType
    url: str
    display_name: DisplayName | None = None
    description: LongText | None = None
    gpg_key_url: str | None = None
    is_gpg_check_enabled: bool | None = None
    is_ssl_verify_enabled: bool | None = None
    advanced_repo_options: str | None = None
    is_mirror_sync_allowed: bool | None = None
    freeform_tags: FreeformTags | None = None
    defined_tags: DefinedTags | None = None


class CreatePrivateSoftwareSourceDetails(CreateSoftwareSourceDetails, frozen=True, tag="PRIVATE"):
    """A repository of the user's own."""


class CreateThirdPartySoftwareSourceDetails(CreateSoftwareSourceDetails, frozen=True, tag="THIRD_PARTY"):
    """A repository of another vendor."""


class UpdateSoftwareSourceDetails(Details, frozen=True, tag_field="softwareSourceType"):
    """What changes; everything that is left out, or null, stays."""

    compartment_id: str | None = None
    display_name: DisplayName | None = None
    description: LongText | None = None
    url: str | None = None
    gpg_key_url: str | None = None
    is_gpg_check_enabled: bool | None = None
    is_ssl_verify_enabled: bool | None = None
    advanced_repo_options: str | None = None
    is_mirror_sync_allowed: bool | None = None
    freeform_tags: FreeformTags | None = None
    defined_tags: DefinedTags | None = None


class UpdatePrivateSoftwareSourceDetails(UpdateSoftwareSourceDetails, frozen=True, tag="PRIVATE"):
    """Of a PRIVATE source."""


class UpdateThirdPartySoftwareSourceDetails(UpdateSoftwareSourceDetails, frozen=True, tag="THIRD_PARTY"):
    """Of a THIRD_PARTY source."""


CreateAny = CreatePrivateSoftwareSourceDetails | CreateThirdPartySoftwareSourceDetails
UpdateAny = UpdatePrivateSoftwareSourceDetails | UpdateThirdPartySoftwareSourceDetails


class SourcesQuery(ListQuery, frozen=True):
    """Filters of the list of sources."""

    compartment_id: str | None = None
    software_source_id: str | None = None
    software_source_type: list[SourceType] = []
    vendor_name: Vendor | None = None
    os_family: list[OsFamily] = []
    arch_type: list[ArchType] = []
    availability: list[Availability] = []
    availability_at_oci: list[Availability] = []
    availability_anywhere: list[Availability] = []
    is_mandatory_for_autonomous_linux: bool | None = None
    is_mirror_sync_allowed: bool | None = None
    display_name: str | None = None
    display_name_contains: str | None = None
    display_name_not_equal_to: list[str] = []
    lifecycle_state: list[SourceLifecycle] = []


class AvailableSourcesQuery(ListQuery, frozen=True):
    """Filters of the sources that could be attached."""

    display_name: list[str] = []
    display_name_contains: str | None = None
    compartment_id: str | None = None
