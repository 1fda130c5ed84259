from __future__ import annotations

from typing import Any

import oci
import pytest
from oci.exceptions import ServiceError
from oci.os_management_hub import models

from stationmaster.hub.services import software_sources

DEB = {"os_family": "UBUNTU_22_04", "arch_type": "AMD64", "url": "http://127.0.0.1:9/deb"}
SUITES = "Suites: stable\nComponents: main contrib"


def refused(call: Any, *arguments: Any, **options: Any) -> Any:
    with pytest.raises(ServiceError) as caught:
        call(*arguments, **options)
    return caught.value


def update(**changes: Any) -> Any:
    return models.UpdatePrivateSoftwareSourceDetails(**changes)


def test_create_answers_201_with_location_and_what_was_recorded(api: Any) -> None:
    details = models.CreateThirdPartySoftwareSourceDetails(
        compartment_id=api.root,
        display_name="vendor repo",
        os_family="ORACLE_LINUX_9",
        arch_type="X86_64",
        url="https://repo.example.com/ol9/",
        gpg_key_url="https://repo.example.com/key.asc",
    )
    answer = api.sources.create_software_source(details)
    source = answer.data
    assert answer.status == 201
    assert answer.headers["location"].endswith(f"/20220901/softwareSources/{source.id}")
    assert isinstance(source, models.ThirdPartySoftwareSource)
    assert source.url == "https://repo.example.com/ol9"
    assert source.repo_id.startswith("third_party.vendor-repo.20")
    assert len(source.repo_id.rpartition(".")[2]) == 17
    assert (source.lifecycle_state, source.availability, source.availability_at_oci) == (
        "ACTIVE",
        "SELECTED",
        "SELECTED",
    )
    assert (source.is_gpg_check_enabled, source.is_ssl_verify_enabled, source.is_mirror_sync_allowed) == (
        True,
        True,
        True,
    )
    read = api.sources.get_software_source(source.id)
    assert read.headers["etag"] == answer.headers["etag"]
    assert oci.util.to_dict(read.data) == oci.util.to_dict(source)


def test_two_of_one_name_get_different_repository_ids(api: Any) -> None:
    assert len({api.source("same").repo_id for _ in range(5)}) == 5


def test_a_source_without_name_is_named_by_its_address(api: Any) -> None:
    assert api.source(display_name=None).display_name == "127.0.0.1-repo"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"url": "file:///etc"}, "file:///etc"),
        ({"url": "ftp://host/repo"}, "ftp://host/repo"),
        ({"url": "repo"}, "'repo'"),
        ({"url": "http://"}, "url"),
        ({"url": "http://user:secret@host/repo"}, "user name"),
        ({"url": "ftp://user:secret@host/repo"}, "ftp://host/repo"),
        ({"url": "http://user:secret@[host/repo"}, "url"),
        ({"url": "http://user:secret@host:port/repo"}, "url"),
        ({"url": "http://host/repo?x=1"}, "query"),
        ({"url": "http://host/../etc"}, "url"),
        ({"url": "http://bad host/repo"}, "url"),
        ({"url": "http://host:99999/repo"}, "url"),
        ({"gpg_key_url": "file:///etc/pki/key"}, "gpgKeyUrl"),
        ({"os_family": "WINDOWS_SERVER_2022"}, "WINDOWS_SERVER_2022"),
        ({"advanced_repo_options": "baseurl=http://x"}, "baseurl"),
        ({"advanced_repo_options": "nonsense"}, "nonsense"),
        ({"advanced_repo_options": "[other]\nname=x"}, "[other]"),
        ({**DEB, "advanced_repo_options": "Suites: stable"}, "Components:"),
        ({**DEB, "advanced_repo_options": "Components: main"}, "Suites:"),
        ({**DEB}, "Suites:"),
        ({**DEB, "advanced_repo_options": "Suites: ./\nComponents: main"}, "flat"),
        ({**DEB, "advanced_repo_options": f"{SUITES}\nTrusted: yes"}, "Trusted"),
        ({**DEB, "advanced_repo_options": f"{SUITES}\nSuites: other"}, "twice"),
        ({**DEB, "advanced_repo_options": "Suites: ../../etc\nComponents: main"}, "../../etc"),
        ({**DEB, "advanced_repo_options": f"{SUITES}\nFoo: bar"}, "Foo"),
    ],
)
def test_what_cannot_be_mirrored_is_refused_naming_it(api: Any, change: Any, named: Any) -> None:
    error = refused(api.source, **change)
    assert error.status == 400
    assert error.code in ("InvalidParameter", "MissingParameter")
    assert named in error.message
    assert "secret" not in error.message


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://[::1]:8080/repo"},
        {"advanced_repo_options": "module_hotfixes=1\n\npriority = 5"},
        {"gpg_key_url": "https://a.example.com/1.asc, https://a.example.com/2.asc"},
        {**DEB, "advanced_repo_options": SUITES},
        {**DEB, "advanced_repo_options": "Suites: jammy jammy-updates\nComponents: main\nBy-Hash: force"},
        {**DEB, "advanced_repo_options": "suites: ./"},
    ],
)
def test_what_can_be_mirrored_is_taken(api: Any, change: Any) -> None:
    assert api.source(**change).lifecycle_state == "ACTIVE"


def test_update_changes_what_is_sent(api: Any) -> None:
    source = api.source()
    before = api.sources.get_software_source(source.id).headers["etag"]
    answer = api.sources.update_software_source(
        source.id, update(display_name="new", is_mirror_sync_allowed=False), if_match=before
    )
    assert answer.headers["etag"] != before
    expected = oci.util.to_dict(source) | {"display_name": "new", "is_mirror_sync_allowed": False}
    assert oci.util.to_dict(answer.data) == expected
    error = refused(api.sources.update_software_source, source.id, update(display_name="x"), if_match=before)
    assert (error.status, error.code) == (412, "NoEtagMatch")
    api.sources.update_software_source(source.id, update(display_name="y"), if_match=f"{answer.headers['etag']}--gzip")


def test_update_of_another_type_or_to_a_bad_address_is_refused(api: Any) -> None:
    source = api.source()
    other = models.UpdateThirdPartySoftwareSourceDetails(display_name="x")
    assert "PRIVATE" in refused(api.sources.update_software_source, source.id, other).message
    assert refused(api.sources.update_software_source, source.id, update(url="file:///x")).status == 400
    assert api.sources.get_software_source(source.id).data.url == source.url


def test_a_new_address_asks_the_groups_that_mirror_it_to_sync(api: Any) -> None:
    station, source = api.station(), api.source()
    api.register(station.id)
    api.profile(management_station_id=station.id, software_source_ids=[source.id])
    api.sources.update_software_source(source.id, update(url="http://127.0.0.1:9/other"))
    assert api.stations.list_mirrors(station.id).data.items[0].state == "QUEUED"


def test_a_source_in_use_is_not_deleted_and_its_users_are_named(api: Any) -> None:
    source = api.source()
    profile = api.profile("web servers", software_source_ids=[source.id])
    error = refused(api.sources.delete_software_source, source.id)
    assert (error.status, error.code) == (409, "Conflict")
    assert "web servers" in error.message
    assert profile.id in error.message
    detach = models.DetachSoftwareSourcesFromProfileDetails(software_sources=[source.id])
    api.profiles.detach_software_sources_from_profile(profile.id, detach)
    assert api.sources.delete_software_source(source.id).status == 204
    assert refused(api.sources.get_software_source, source.id).status == 404


def test_a_source_moves_between_compartments(api: Any) -> None:
    source = api.source()
    details = models.ChangeSoftwareSourceCompartmentDetails(compartment_id="ocid1.compartment.oc1..none")
    assert refused(api.sources.change_software_source_compartment, source.id, details).status == 404


def test_the_list_filters_sorts_and_pages(api: Any) -> None:
    for name in ("b", "a", "c"):
        api.source(name)
    deb = api.source("deb", **DEB, advanced_repo_options=SUITES, is_mirror_sync_allowed=False)

    def names(**query: Any) -> Any:
        return [one.display_name for one in api.sources.list_software_sources(**query).data.items]

    assert names() == ["deb", "c", "a", "b"]
    assert names(sort_by="displayName") == ["a", "b", "c", "deb"]
    assert names(software_source_type=["PRIVATE"], os_family=["UBUNTU_22_04", "UBUNTU_20_04"]) == ["deb"]
    assert names(software_source_type=["THIRD_PARTY", "VENDOR"]) == []
    assert names(is_mirror_sync_allowed=False) == ["deb"]
    assert names(vendor_name="CANONICAL") == ["deb"]
    assert names(arch_type=["AMD64"]) == ["deb"]
    assert names(display_name_not_equal_to=["a", "b"]) == ["deb", "c"]
    assert names(display_name_contains="DE") == ["deb"]
    assert names(software_source_id=deb.id) == ["deb"]
    assert names(availability_anywhere=["AVAILABLE"]) == []
    assert names(is_mandatory_for_autonomous_linux=True) == []
    lister = api.sources.list_software_sources
    for options in ({}, {"sort_by": "displayName"}, {"sort_by": "displayName", "sort_order": "DESC"}):
        found = oci.pagination.list_call_get_all_results(lister, limit=1, **options).data
        assert [one.display_name for one in found] == names(**options)
    (summary,) = api.sources.list_software_sources(software_source_id=deb.id).data.items
    assert isinstance(summary, models.PrivateSoftwareSourceSummary)


def test_pages_neither_repeat_nor_skip_what_stays(api: Any) -> None:
    for number in range(6):
        api.source(f"s{number}")
    first = api.sources.list_software_sources(limit=3, sort_by="displayName")
    api.sources.delete_software_source(first.data.items[0].id)
    api.source("s00")
    second = api.sources.list_software_sources(limit=3, sort_by="displayName", page=first.next_page)
    assert [one.display_name for one in second.data.items] == ["s3", "s4", "s5"]
    assert second.next_page is None


def test_a_page_token_of_another_list_or_a_made_up_one_is_refused(api: Any) -> None:
    for name in "ab":
        api.source(name)
    token = api.sources.list_software_sources(limit=1).next_page
    for options in ({"page": "x"}, {"page": token[:-2]}, {"page": token, "sort_by": "displayName"}, {"page": "é"}):
        error = refused(api.sources.list_software_sources, **options)
        assert (error.status, error.code) == (400, "InvalidParameter")
        assert "page" in error.message


@pytest.mark.parametrize("limit", [0, 1001, -1])
def test_a_limit_out_of_range_is_refused(api: Any, limit: Any) -> None:
    assert "limit" in refused(api.sources.list_software_sources, limit=limit).message


def test_a_password_for_the_upstream_is_taken_and_never_given_back(api: Any) -> None:
    secret = "s3cret-for-vendor"
    details = models.CreatePrivateSoftwareSourceDetails(
        compartment_id=api.root, display_name="closed", os_family="ORACLE_LINUX_9", arch_type="X86_64",
        url="https://repo.example.com/ol9/", advanced_repo_options=f"priority=5\nusername=me\npassword={secret}",
    )  # fmt: skip
    made = api.sources.create_software_source(details).data
    assert made.advanced_repo_options == "priority=5\nusername=me\npassword=********"
    changed = made.advanced_repo_options.replace("priority=5", "priority=6")
    api.sources.update_software_source(made.id, update(advanced_repo_options=changed))
    read = api.sources.get_software_source(made.id).data
    assert read.advanced_repo_options == changed
    listed = api.sources.list_software_sources(compartment_id=api.root).data.items
    assert secret not in str(listed)
    error = refused(
        api.sources.update_software_source, made.id, update(advanced_repo_options=f"password={secret}\nsslclientkey=k")
    )
    assert error.status == 400
    assert secret not in error.message
    with api.live.hub.store.read() as tx:
        stored = software_sources.find(tx, made.id).advanced_repo_options
    assert stored == f"priority=6\nusername=me\npassword={secret}"
