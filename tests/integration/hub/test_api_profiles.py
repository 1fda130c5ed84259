from __future__ import annotations

from typing import Any

import oci
import pytest
from oci.exceptions import ServiceError
from oci.os_management_hub import models


def refused(call: Any, *arguments: Any, **options: Any) -> Any:
    with pytest.raises(ServiceError) as caught:
        call(*arguments, **options)
    return caught.value


def attach(*sources: Any) -> Any:
    return models.AttachSoftwareSourcesToProfileDetails(software_sources=list(sources))


def detach(*sources: Any) -> Any:
    return models.DetachSoftwareSourcesFromProfileDetails(software_sources=list(sources))


def station_profile(api: Any, **changes: Any) -> Any:
    arguments = {"compartment_id": api.root, "display_name": "for a station", **changes}
    return api.profiles.create_profile(models.CreateStationProfileDetails(**arguments)).data


def test_a_profile_with_sources_and_station(api: Any) -> None:
    station, source = api.station(), api.source()
    profile = api.profile(management_station_id=station.id, software_source_ids=[source.id], freeform_tags={"a": "b"})
    assert isinstance(profile, models.SoftwareSourceProfile)
    assert [one.id for one in profile.software_sources] == [source.id]
    assert (profile.management_station_id, profile.profile_version) == (station.id, "1")
    assert (profile.lifecycle_state, profile.registration_type) == ("ACTIVE", "NON_OCI_LINUX")
    assert (profile.is_default_profile, profile.is_service_provided_profile) == (False, False)
    assert profile.freeform_tags == {"a": "b"}
    assert oci.util.to_dict(api.profiles.get_profile(profile.id).data) == oci.util.to_dict(profile)


def test_a_station_profile_takes_family_and_architecture_of_its_station(api: Any) -> None:
    station = api.station(os_family="ORACLE_LINUX_9", arch_type="AARCH64")
    profile = station_profile(api, management_station_id=station.id)
    assert isinstance(profile, models.StationProfile)
    assert (profile.vendor_name, profile.os_family, profile.arch_type) == ("ORACLE", "ORACLE_LINUX_9", "AARCH64")


def test_a_stations_own_profile_is_listed_follows_it_and_is_not_touched_alone(api: Any) -> None:
    station = api.station("Anna")
    own = api.profiles.get_profile(station.profile_id).data
    assert isinstance(own, models.StationProfile)
    assert (own.management_station_id, own.display_name.startswith("Anna-")) == (station.id, True)
    assert [one.id for one in api.profiles.list_profiles(profile_type=["STATION"]).data.items] == [own.id]
    api.stations.update_management_station(station.id, models.UpdateManagementStationDetails(display_name="Berta"))
    followed = api.profiles.get_profile(own.id).data
    assert followed.display_name.startswith("Berta-")
    assert followed.profile_version == "2"
    for call in (
        lambda: api.profiles.delete_profile(own.id),
        lambda: api.profiles.detach_management_station_from_profile(
            own.id, models.DetachManagementStationFromProfileDetails(management_station_id=station.id)
        ),
        lambda: api.profiles.update_profile(own.id, models.UpdateProfileDetails(display_name="x")),
    ):
        assert refused(call).code == "Conflict"
    assert api.stations.delete_management_station(station.id).status == 204


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        ({"vendor_name": None}, "MissingParameter", "vendorName"),
        ({"os_family": None}, "MissingParameter", "osFamily"),
        ({"arch_type": None}, "MissingParameter", "archType"),
        ({"vendor_name": "CANONICAL"}, "InvalidParameter", "CANONICAL"),
        ({"registration_type": "OCI_LINUX"}, "InvalidParameter", "registrationType"),
        ({"management_station_id": "station"}, "InvalidParameter", "managementStationId"),
        ({"management_station_id": "ocid1.osmhmanagementstation.oc1..x"}, "NotAuthorizedOrNotFound", "oc1..x"),
        ({"software_source_ids": ["source"]}, "InvalidParameter", "softwareSourceIds"),
        ({"software_source_ids": ["ocid1.osmhsoftwaresource.oc1..x"]}, "NotAuthorizedOrNotFound", "oc1..x"),
        ({"compartment_id": "ocid1.compartment.oc1..x"}, "NotAuthorizedOrNotFound", "compartmentId"),
    ],
)
def test_what_cannot_be_is_refused_naming_it(api: Any, change: Any, code: Any, named: Any) -> None:
    error = refused(api.profile, **change)
    assert (error.code, named in error.message) == (code, True), error.message


@pytest.mark.parametrize(
    "source",
    [
        {"os_family": "ORACLE_LINUX_8"},
        {"arch_type": "AARCH64"},
        {"os_family": "UBUNTU_22_04", "advanced_repo_options": "Suites: a\nComponents: b"},
    ],
)
def test_sources_that_do_not_fit_are_refused(api: Any, source: Any) -> None:
    unfit = api.source("unfit", **source)
    error = refused(api.profile, software_source_ids=[unfit.id])
    assert (error.code, "unfit" in error.message) == ("InvalidParameter", True)
    profile = api.profile()
    assert refused(api.profiles.attach_software_sources_to_profile, profile.id, attach(unfit.id)).status == 400


@pytest.mark.parametrize("source", [{"arch_type": "NOARCH"}, {"arch_type": "AMD64"}, {"os_family": "ALL"}])
def test_sources_for_any_machine_fit(api: Any, source: Any) -> None:
    assert api.profile(software_source_ids=[api.source(**source).id])


def test_names_are_unique_at_creation(api: Any) -> None:
    first = api.profile("same")
    error = refused(api.profile, "same")
    assert (error.status, error.code, first.id in error.message) == (409, "Conflict", True)


def test_each_edit_is_a_version_and_old_ones_stay_readable(api: Any) -> None:
    station, sources = api.station(), [api.source(name).id for name in "ab"]
    profile = api.profile("v", software_source_ids=sources[:1])
    api.profiles.attach_software_sources_to_profile(profile.id, attach(*sources))
    api.profiles.update_profile(profile.id, models.UpdateProfileDetails(description="new"))
    details = models.AttachManagementStationToProfileDetails(management_station_id=station.id)
    api.profiles.attach_management_station_to_profile(profile.id, details)
    api.profiles.detach_software_sources_from_profile(profile.id, detach(sources[0]))
    shown = api.profiles.get_profile(profile.id).data
    assert shown.profile_version == "5"
    assert [one.id for one in shown.software_sources] == sources[1:]
    versions = [api.profiles.get_profile_version(profile.id, str(number)).data for number in range(1, 6)]
    assert [[one.id for one in version.software_sources] for version in versions] == [
        sources[:1],
        sources,
        sources,
        sources,
        sources[1:],
    ]
    assert [version.description for version in versions] == [None, None, "new", "new", "new"]
    assert [version.management_station_id for version in versions] == [None, None, None, station.id, station.id]
    for absent in ("0", "6", "x", "-1"):
        assert refused(api.profiles.get_profile_version, profile.id, absent).status == 404


def test_what_changes_nothing_is_no_version(api: Any) -> None:
    source = api.source()
    profile = api.profile(software_source_ids=[source.id])
    api.profiles.attach_software_sources_to_profile(profile.id, attach(source.id))
    api.profiles.update_profile(profile.id, models.UpdateProfileDetails(display_name=profile.display_name))
    assert api.profiles.get_profile(profile.id).data.profile_version == "1"


def test_detaching_what_is_not_attached_is_refused(api: Any) -> None:
    station, source, profile = api.station(), api.source(), api.profile()
    assert refused(api.profiles.detach_software_sources_from_profile, profile.id, detach(source.id)).status == 400
    details = models.DetachManagementStationFromProfileDetails(management_station_id=station.id)
    assert refused(api.profiles.detach_management_station_from_profile, profile.id, details).status == 400
    own = attach(source.id)
    assert refused(api.profiles.attach_software_sources_to_profile, station.profile_id, own).status == 400


def test_at_most_one_default_and_the_newest_wins(api: Any) -> None:
    first, other = api.profile("a", is_default_profile=True), api.profile("b", os_family="ORACLE_LINUX_8")
    api.profiles.update_profile(other.id, models.UpdateProfileDetails(is_default_profile=True))
    assert api.profiles.get_profile(first.id).data.is_default_profile
    second = api.profile("c", is_default_profile=True)
    defaults = {one.id for one in api.profiles.list_profiles(is_default_profile=True).data.items}
    assert defaults == {other.id, second.id}


def test_available_sources_fit_and_are_not_attached(api: Any) -> None:
    attached, free = api.source("attached"), api.source("free")
    api.source("unfit", os_family="ORACLE_LINUX_8")
    profile = api.profile(software_source_ids=[attached.id])
    found = api.profiles.list_profile_available_software_sources(profile.id).data.items
    assert [(one.id, one.software_source_type) for one in found] == [(free.id, "PRIVATE")]
    options = {"display_name_contains": "xyz"}
    assert api.profiles.list_profile_available_software_sources(profile.id, **options).data.items == []


def test_etags_guard_changes(api: Any) -> None:
    profile = api.profile()
    etag = api.profiles.get_profile(profile.id).headers["etag"]
    changed = api.profiles.update_profile(profile.id, models.UpdateProfileDetails(description="1"), if_match=etag)
    for call in (
        lambda: api.profiles.update_profile(profile.id, models.UpdateProfileDetails(description="2"), if_match=etag),
        lambda: api.profiles.delete_profile(profile.id, if_match=etag),
        lambda: api.profiles.attach_software_sources_to_profile(profile.id, attach(), if_match=etag),
    ):
        error = refused(call)
        assert (error.status, error.code) == (412, "NoEtagMatch")
    assert api.profiles.delete_profile(profile.id, if_match=changed.headers["etag"]).status == 204
    assert refused(api.profiles.get_profile, profile.id).status == 404


def test_the_list_filters_sorts_pages_and_counts(api: Any) -> None:
    station = api.station()
    for name in ("b", "a", "c"):
        api.profile(name, management_station_id=station.id if name == "a" else None)

    def names(**query: Any) -> Any:
        query = {"profile_type": ["SOFTWARESOURCE"], **query}
        return [one.display_name for one in api.profiles.list_profiles(**query).data.items]

    assert names() == ["c", "a", "b"]
    assert names(sort_by="displayName") == ["a", "b", "c"]
    assert names(management_station=[station.id]) == ["a"]
    assert names(management_station_not_equal_to=[station.id]) == ["c", "b"]
    assert names(display_name=["a", "b"]) == ["a", "b"]
    assert names(os_family="ORACLE_LINUX_8") == []
    assert names(vendor_name="ORACLE", arch_type="X86_64", lifecycle_state="ACTIVE") == ["c", "a", "b"]
    assert names(registration_type=["OCI_LINUX"]) == []
    assert names(profile_version="2") == []
    answer = api.profiles.list_profiles(limit=1)
    assert answer.headers["opc-total-items"] == "4"
    assert len(oci.pagination.list_call_get_all_results(api.profiles.list_profiles, limit=1).data) == 4
