"""How an error looks on the wire: ``{"code", "message"}``, and one table from code to HTTP status."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import sqlalchemy as sa

from stationmaster.hub.api import expected
from stationmaster.model import errors

STATUS_BY_CODE = {
    "InvalidParameter": 400,
    "MissingParameter": 400,
    "CannotParseRequest": 400,
    "LimitExceeded": 400,
    "RelatedResourceNotAuthorizedOrNotFound": 400,
    "NotAuthenticated": 401,
    "NotAllowed": 403,
    "NotAuthorizedOrNotFound": 404,
    "NotFound": 404,
    "MethodNotAllowed": 405,
    "RequestTimeout": 408,
    "IncorrectState": 409,
    "Conflict": 409,
    "InvalidatedRetryToken": 409,
    "NoEtagMatch": 412,
    "RequestEntityTooLarge": 413,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
}

_AT = re.compile(r" - at `\$\.?(?P<place>[^`]*)`$")
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>[^`]+)`")


class ErrorBody(msgspec.Struct, frozen=True):
    """What SDKs read."""

    code: str
    message: str


def status_of(error: errors.StationmasterError) -> int:
    """The HTTP status of an error; what is not in the table is our own fault."""
    return STATUS_BY_CODE.get(error.code, 500)


def body_of(error: errors.StationmasterError) -> ErrorBody:
    """Code and message with its hint. An error that is our own fault keeps its details for the log."""
    if status_of(error) == 500:
        return ErrorBody("InternalServerError", "The hub failed; its log has more under this request id.")
    return ErrorBody(error.code, str(error))


def translate(exc: Exception) -> errors.StationmasterError:
    """Any exception as one of ours: a database that is away is 503, what nobody foresaw is 500."""
    if isinstance(exc, errors.StationmasterError):
        return exc
    if isinstance(exc, sa.exc.OperationalError | sa.exc.TimeoutError):
        return errors.HostError("The hub's database is not available.", code="ServiceUnavailable", hint="Try again.")
    return errors.StationmasterError(f"{type(exc).__name__}: {exc}")


def explain_undecodable(exc: msgspec.DecodeError, *, what: str, kind: Any = None) -> errors.CallerError:
    """What is wrong with a body or query that could not be decoded as ``kind``: the field, and what it takes."""
    text = str(exc)
    if not isinstance(exc, msgspec.ValidationError):
        return errors.CallerError(f"The {what} is not JSON: {text}.", code="CannotParseRequest")
    at = _AT.search(text)
    place = at["place"] if at else ""
    missing, unknown = _MISSING.match(text), _UNKNOWN.match(text)
    if missing:
        return errors.CallerError(f"{_join(place, missing['field'])} is missing.", code="MissingParameter")
    if unknown:
        return errors.CallerError(f"{_join(place, unknown['field'])} is not a field of this {what}.")
    values = expected.values_at(kind, place) if kind is not None and text.startswith("Invalid") else ()
    hint = f"Expected is one of {', '.join(values)}." if values else ""
    return errors.CallerError(f"{place or 'The ' + what}: {_AT.sub('', text)}.", hint=hint)


def _join(place: str, field: str) -> str:
    return f"{place}.{field}" if place else field
