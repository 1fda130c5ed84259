from __future__ import annotations

import inspect
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.hub import wiring
from stationmaster.hub.api import call, failures, routes
from stationmaster.model import errors


def nothing(_call: Any, _tx: Any) -> Any:
    raise AssertionError


def table(*pairs: Any) -> Any:
    return routes.RouteTable(routes.Route(method=method, path=path, handler=nothing) for method, path in pairs)


def test_a_named_segment_wins_over_a_parameter() -> None:
    found = table(("GET", "/a/{id}/x"), ("GET", "/a/b/x"), ("GET", "/{id}/b/x"))
    for path, expected in (("/a/b/x", "/a/b/x"), ("/a/c/x", "/a/{id}/x"), ("/c/b/x", "/{id}/b/x")):
        match = found.find(path)
        assert match is not None
        assert match.methods["GET"].path == expected


def test_segments_are_decoded_after_splitting() -> None:
    match = table(("GET", "/a/{id}")).find("/a/x%2Fy%20z")
    assert match is not None
    assert match.parameters == {"id": "x/y z"}
    assert table(("GET", "/a/{id}")).find("/a/x/y") is None


def test_one_operation_twice_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="twice"):
        table(("GET", "/a"), ("GET", "/a"))


@given(st.text())
def test_any_path_matches_or_does_not(path: Any) -> None:
    table(("GET", "/a/{id}"), ("POST", "/{id}")).find(path)


def test_every_error_has_a_status_or_is_meant_to_be_our_fault() -> None:
    shown = {
        "PeerUnavailable",
        "UpstreamUnavailable",
        "HostUnable",
        "ProgramMissing",
        "ProgramFailed",
        "VolumeUnusable",
    }
    codes = {one.code for _, one in inspect.getmembers(errors, inspect.isclass) if hasattr(one, "code")}
    assert codes - set(failures.STATUS_BY_CODE) <= shown


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (errors.CallerError("No.", hint="Do."), 400, "InvalidParameter", "No. Do."),
        (errors.NotFoundError("Gone."), 404, "NotAuthorizedOrNotFound", "Gone."),
        (errors.ConflictError("Taken."), 409, "Conflict", "Taken."),
        (errors.NotAuthenticatedError("Who?"), 401, "NotAuthenticated", "Who?"),
    ],
)
def test_errors_of_callers_are_shown_with_their_hint(error: Any, status: Any, code: Any, message: Any) -> None:
    assert failures.status_of(error) == status
    assert failures.body_of(error) == failures.ErrorBody(code, message)


@pytest.mark.parametrize(
    "exc", [errors.HostError("disk /secret"), ValueError("secret"), errors.StationmasterError("s")]
)
def test_our_own_faults_keep_their_details(exc: Any) -> None:
    error = failures.translate(exc)
    assert failures.status_of(error) == 500
    assert "secret" not in failures.body_of(error).message


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    port: str


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    inner: Inner | None = None


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"{}", "MissingParameter", "name is missing."),
        (b'{"name":"x","inner":{}}', "MissingParameter", "inner.port is missing."),
        (b'{"name":"x","inner":{"port":"1","x":1}}', "InvalidParameter", "inner.x is not a field of this body."),
        (b'{"name":1}', "InvalidParameter", "name: Expected `str`, got `int`."),
        (b'{"name":', "CannotParseRequest", "The body is not JSON: Input data was truncated."),
    ],
)
def test_what_cannot_be_decoded_is_explained(content: Any, code: Any, message: Any) -> None:
    with pytest.raises(msgspec.DecodeError) as caught:
        msgspec.json.decode(content, type=Outer)
    error = failures.explain_undecodable(caught.value, what="body")
    assert (error.code, error.message) == (code, message)


def test_etags_differ_between_resources_and_revisions() -> None:
    tags = {call.etag_of(one, revision) for one in ("a", "b", "a\n1") for revision in (1, 2, 11)}
    assert len(tags) == 9


def test_the_whole_table_is_well_formed() -> None:
    for route in wiring.route_table().routes:
        assert route.path.startswith((routes.OSMH, routes.OWN)), route.path
        assert route.method in {"GET", "POST", "PUT", "DELETE"}
        assert not re.search(r"//|/$", route.path)
        if route.method in {"GET", "DELETE"}:
            assert route.body is None, route.path
