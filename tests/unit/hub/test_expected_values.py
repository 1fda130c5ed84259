"""An error that names what a field takes is made from the field's type, so it cannot grow stale."""

import msgspec
import pytest

from stationmaster.hub.api import decoding, expected, failures
from stationmaster.hub.api.wire import profiles, stations

CREATE_PROFILE = profiles.CreateAny


@pytest.mark.parametrize(
    ("kind", "place", "some"),
    [
        (CREATE_PROFILE, "vendorName", {"ORACLE", "MICROSOFT", "CANONICAL"}),
        (CREATE_PROFILE, "profileType", {"SOFTWARESOURCE", "STATION"}),
        (stations.CreateManagementStationDetails, "osFamily", {"ORACLE_LINUX_8", "UBUNTU_22_04"}),
        (decoding.ListQuery, "sortOrder", {"ASC", "DESC"}),
    ],
)
def test_the_values_of_a_field_are_known(kind: object, place: str, some: set[str]) -> None:
    assert some <= set(expected.values_at(kind, place))


@pytest.mark.parametrize("place", ["displayName", "proxy.port", "nothing", "nothing.at.all", ""])
def test_where_there_is_no_enumeration_nothing_is_claimed(place: str) -> None:
    assert expected.values_at(stations.CreateManagementStationDetails, place) == ()


def test_a_wrong_value_is_answered_with_the_right_ones() -> None:
    body = b'{"profileType": "SOFTWARESOURCE", "displayName": "P", "compartmentId": "c", "vendorName": "UBUNTU"}'
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(body, type=CREATE_PROFILE)
    error = failures.explain_undecodable(caught.value, what="body", kind=CREATE_PROFILE)
    assert "vendorName" in str(error)
    assert "Expected is one of ORACLE, MICROSOFT, CANONICAL" in str(error)
