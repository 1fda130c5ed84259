"""Work requests and scheduled jobs on the wire (OSMH models of the same names)."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

import msgspec

from stationmaster.hub.api.decoding import ListQuery
from stationmaster.hub.api.wire.base import DefinedTags, Details, FreeformTags, Lifecycle, Location, Shown
from stationmaster.hub.api.wire.instances import PackageName, WorkRequestDetails
from stationmaster.hub.api.wire.stations import DisplayName, LongText
from stationmaster.model.work_request import Status


class WorkRequestSummary(Shown, frozen=True):
    """A work request in a list."""

    operation_type: str
    status: str
    id: str
    description: str | None
    display_name: str
    message: str | None
    parent_id: str | None
    children_id: list[str]
    compartment_id: str
    percent_complete: float
    time_created: str
    time_scheduled: str | None
    is_managed_by_autonomous_linux: bool
    reboot_timeout_in_mins: int | None
    time_finished: str | None


class WorkRequestManagementStationDetails(Shown, frozen=True):
    """What a station is asked to do (OSMH rule 54)."""

    management_station_version: str | None
    config: str | None
    software_source_ids: list[str]


class WorkRequest(Shown, frozen=True):
    """A work request in full."""

    operation_type: str
    status: str
    id: str
    description: str | None
    display_name: str
    message: str | None
    parent_id: str | None
    children_id: list[str]
    compartment_id: str
    resources: list[Any]
    package_names: list[str]
    windows_update_names: list[str]
    module_specs: list[Any]
    percent_complete: float
    time_created: str
    time_updated: str
    time_started: str | None
    time_finished: str | None
    initiator_id: str | None
    management_station: WorkRequestManagementStationDetails | None
    time_scheduled: str | None
    content_location: str | None
    event_id: str | None
    content_checksum: str | None
    retry_of_id: str | None
    rerun_of_id: str | None
    retry_intervals: list[int]
    is_managed_by_autonomous_linux: bool
    reboot_timeout_in_mins: int | None
    snap_specs: list[Any]


class WorkRequestLogEntry(Shown, frozen=True):
    """One line of a log."""

    message: str
    timestamp: str


class WorkRequestError(Shown, frozen=True):
    """One thing that went wrong."""

    code: str
    message: str
    timestamp: str


class RerunDetails(Details, frozen=True):
    """Which of the failed instances are tried again; all when left out."""

    managed_instances: list[str] | None = None
    work_request_details: WorkRequestDetails | None = None


class WorkRequestsQuery(ListQuery, frozen=True):
    """Filters of the list of work requests."""

    compartment_id: str | None = None
    work_request_id: str | None = None
    status: list[Status] = []
    resource_id: str | None = None
    initiator_id: str | None = None
    parent_id: str | None = None
    parent_resources_not_equal_to: list[str] = []
    operation_type: list[str] = []
    display_name_contains: str | None = None
    retry_of_id: str | None = None
    rerun_of_id: str | None = None
    time_created_less_than: datetime.datetime | None = None
    time_created_greater_than_or_equal_to: datetime.datetime | None = None
    is_managed_by_autonomous_linux: bool | None = None
    compartment_id_in_subtree: bool | None = None


class Operation(Details, frozen=True):
    """One operation of a job. Those that this hub cannot carry out are refused by name."""

    operation_type: str
    package_names: list[PackageName] | None = None
    windows_update_names: list[str] | None = None
    manage_module_streams_details: dict[str, Any] | None = None
    switch_module_streams_details: dict[str, Any] | None = None
    software_source_ids: list[str] | None = None
    reboot_timeout_in_mins: int | None = None
    install_snap_details: dict[str, Any] | None = None
    remove_snap_details: dict[str, Any] | None = None
    switch_snap_channel_details: dict[str, Any] | None = None


class ScheduledJob(Shown, frozen=True):
    """A scheduled job in full; in a list the same, which holds more than the summary demands."""

    id: str
    display_name: str
    compartment_id: str
    description: str | None
    schedule_type: str
    locations: list[str]
    time_next_execution: str | None
    time_last_execution: str | None
    recurring_rule: str | None
    managed_instance_ids: list[str]
    managed_instance_group_ids: list[str]
    managed_compartment_ids: list[str]
    lifecycle_stage_ids: list[str]
    dynamic_set_ids: list[str]
    is_subcompartment_included: bool
    operations: list[Any]
    work_request_ids: list[str]
    time_created: str
    time_updated: str
    lifecycle_state: str
    is_managed_by_autonomous_linux: bool
    freeform_tags: FreeformTags
    defined_tags: DefinedTags
    system_tags: DefinedTags
    is_restricted: bool
    retry_intervals: list[int]
    work_request_id: str | None


ScheduleType = Literal["ONETIME", "RECURRING"]
RetryIntervals = Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=1440)]], msgspec.Meta(max_length=10)]


class CreateScheduledJobDetails(Details, frozen=True):
    """A new job. Exactly one kind of target (OSMH rule 92)."""

    compartment_id: str
    schedule_type: ScheduleType
    time_next_execution: datetime.datetime
    operations: Annotated[list[Operation], msgspec.Meta(min_length=1, max_length=10)]
    display_name: DisplayName | None = None
    description: LongText | None = None
    locations: list[Location] | None = None
    recurring_rule: str | None = None
    managed_instance_ids: list[str] | None = None
    managed_instance_group_ids: list[str] | None = None
    managed_compartment_ids: list[str] | None = None
    lifecycle_stage_ids: list[str] | None = None
    dynamic_set_ids: list[str] | None = None
    is_subcompartment_included: bool | None = None
    freeform_tags: FreeformTags | None = None
    defined_tags: DefinedTags | None = None
    retry_intervals: RetryIntervals | None = None
    is_managed_by_autonomous_linux: bool | None = None
    work_request_id: str | None = None


class UpdateScheduledJobDetails(Details, frozen=True):
    """What changes; of a restricted job only time, rule and tags (OSMH rule 15)."""

    display_name: DisplayName | None = None
    description: LongText | None = None
    schedule_type: ScheduleType | None = None
    time_next_execution: datetime.datetime | None = None
    recurring_rule: str | None = None
    operations: Annotated[list[Operation], msgspec.Meta(min_length=1, max_length=10)] | None = None
    freeform_tags: FreeformTags | None = None
    defined_tags: DefinedTags | None = None
    retry_intervals: RetryIntervals | None = None


class ScheduledJobsQuery(ListQuery, frozen=True):
    """Filters of the list of jobs."""

    compartment_id: str | None = None
    display_name: str | None = None
    display_name_contains: str | None = None
    lifecycle_state: Lifecycle | None = None
    managed_instance_id: str | None = None
    managed_instance_group_id: str | None = None
    managed_compartment_id: str | None = None
    lifecycle_stage_id: str | None = None
    operation_type: str | None = None
    schedule_type: ScheduleType | None = None
    time_start: datetime.datetime | None = None
    time_end: datetime.datetime | None = None
    is_restricted: bool | None = None
    id: str | None = None
    compartment_id_in_subtree: bool | None = None
    location: list[Location] = []
    location_not_equal_to: list[Location] = []
    is_managed_by_autonomous_linux: bool | None = None
    dynamic_set_id: str | None = None
