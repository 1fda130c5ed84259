"""From bytes and query strings to typed requests; every refusal names the field."""

from __future__ import annotations

import functools
import re
import urllib.parse
from typing import Annotated, Any, Literal

import msgspec

from stationmaster.hub.api import failures, routes
from stationmaster.model import errors, plain_text


class Query(msgspec.Struct, frozen=True, rename="camel", kw_only=True, forbid_unknown_fields=True):
    """Base of all query types: camelCase parameters; a field of a list type may be repeated."""


class PageQuery(Query, frozen=True, kw_only=True):
    """What all paged lists take; each says what it sorts by. ``sort_order``: DESC for times, ASC for names."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    page: str | None = None
    sort_by: str
    sort_order: Literal["ASC", "DESC"] | None = None

    @property
    def is_descending(self) -> bool:
        """The direction that applies."""
        order = self.sort_order or ("DESC" if self.sort_by.startswith("time") else "ASC")
        return order == "DESC"


class ListQuery(PageQuery, frozen=True, kw_only=True):
    """A list that sorts by time of creation or by name, as most do."""

    sort_by: Literal["timeCreated", "displayName"] = "timeCreated"


# What may stand for a control character in JSON: an escape, or the bytes themselves. A first sieve for large bodies.
_CONTROL = re.compile(rb"\\(?:u00[01789]|[bf])|\x7f|\xc2[\x80-\x9f]")


def decode_body(route: routes.Route, content: bytes) -> Any:
    """The body as ``route.body``; None for a route without one."""
    if route.body is None:
        if content.strip() not in (b"", b"{}", b"null"):
            raise errors.CallerError("This operation takes no body.")
        return None
    if not content.strip():
        if route.is_body_optional:
            return None
        raise errors.CallerError("The body is missing.", code="MissingParameter")
    if route.access is routes.Access.PEOPLE and _CONTROL.search(content):
        _require_json(content)
        _require_plain(msgspec.json.decode(content), "body")
    try:
        return _decoder(route.body).decode(content)
    except msgspec.DecodeError as exc:
        _require_json(content)  # a type error may come before a syntax error further on, which says more
        raise failures.explain_undecodable(exc, what="body", kind=route.body) from exc
    except (UnicodeDecodeError, RecursionError):
        _require_json(content)
        raise


def decode_query(route: routes.Route, query_string: str) -> Any:
    """The query as ``route.query``; a route without one takes no parameters."""
    pairs = urllib.parse.parse_qsl(query_string, keep_blank_values=True)
    _require_plain(pairs, "query")
    if route.query is None:
        if pairs:
            raise errors.CallerError(f"{pairs[0][0]} is not a parameter of this operation.")
        return None
    repeatable = _repeatable(route.query)
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in repeatable:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise errors.CallerError(f"{name} is given more than once.")
        else:
            found[name] = value
    try:
        return msgspec.convert(found, type=route.query, strict=False)
    except msgspec.ValidationError as exc:
        raise failures.explain_undecodable(exc, what="query", kind=route.query) from exc


def _require_plain(value: Any, what: str) -> None:
    """No control characters in what people say: databases refuse some, and terminals that show it obey others."""
    if isinstance(value, str):
        if plain_text.without_control(value.replace("\r", "")) != value.replace("\r", ""):
            raise errors.CallerError(
                f"The {what} has a control character in {plain_text.without_control(value)!r:.100}."
            )
    elif isinstance(value, (list, tuple)):
        for one in value:
            _require_plain(one, what)
    elif isinstance(value, dict):
        for key, one in value.items():
            _require_plain(key, what)
            _require_plain(one, what)


def _require_json(content: bytes) -> None:
    try:
        msgspec.json.decode(content)
    except msgspec.DecodeError as exc:
        place = f" (after byte {len(content)})" if "truncated" in str(exc) else ""
        raise errors.CallerError(f"The body is not JSON: {exc}{place}.", code="CannotParseRequest") from exc
    except UnicodeDecodeError as exc:
        raise errors.CallerError("The body is not UTF-8.", code="CannotParseRequest") from exc
    except RecursionError as exc:
        raise errors.CallerError("The body is nested too deeply.", code="CannotParseRequest") from exc


@functools.lru_cache(maxsize=512)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@functools.lru_cache(maxsize=512)
def _repeatable(kind: Any) -> frozenset[str]:
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)  # noqa: S101 - a route's query is always a Query
    return frozenset(field.encode_name for field in info.fields if isinstance(field.type, msgspec.inspect.ListType))
