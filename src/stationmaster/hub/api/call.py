"""One request and one answer, as handlers see them."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from stationmaster.hub import context
from stationmaster.hub.api import routes
from stationmaster.hub.services import events
from stationmaster.model import errors

T = TypeVar("T")


class PrincipalKind(enum.StrEnum):
    """Who signs."""

    USER = "USER"
    MACHINE = "MACHINE"
    NOBODY = "NOBODY"


@dataclasses.dataclass(frozen=True)
class Principal:
    """Who made a request: a user, a registered machine (its managed instance OCID), or nobody when unsigned."""

    id: str
    kind: PrincipalKind
    name: str
    fingerprint: str = ""


NOBODY = Principal("", PrincipalKind.NOBODY, "")


@dataclasses.dataclass(frozen=True)
class Call:
    """A request whose signature held, decoded as its route says. ``now`` is one moment for the whole request."""

    hub: context.Hub
    route: routes.Route
    principal: Principal
    request_id: str
    now: datetime.datetime
    method: str
    target: str
    path: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes = b""
    decoded_body: Any = None
    decoded_query: Any = None
    prepared: Any = None

    @property
    def actor(self) -> events.Actor:
        """Who does it, for the event that tells of it."""
        return events.Actor(self.principal.id, self.request_id)

    def body(self, kind: type[T]) -> T:
        """The decoded body; ``kind`` is the route's ``body`` or the base of its union."""
        return _of_kind(self.decoded_body, kind)

    def query(self, kind: type[T]) -> T:
        """The decoded query; ``kind`` is the route's ``query``."""
        return _of_kind(self.decoded_query, kind)

    def require_match(self, etag: str) -> None:
        """The precondition of ``if-match``: 412 unless it names ``etag`` (or is absent, or ``*``)."""
        wanted = self.headers.get("if-match")
        if wanted is None or wanted.strip() == "*":
            return
        given = [_bare_etag(part) for part in wanted.split(",")]
        if etag not in given:
            raise errors.CallerError(
                "if-match names another revision than the present one.",
                code="NoEtagMatch",
                hint="Read the resource again, and repeat the change if it still makes sense.",
            )


@dataclasses.dataclass(frozen=True)
class Answer:
    """What is sent back. ``body`` is a message that becomes JSON; ``content`` is sent as it is."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    content: bytes = b""
    content_type: str = ""

    def encoded(self) -> tuple[bytes, str]:
        """The bytes and their type; an empty answer is of the type the real service gives it."""
        if self.body is not None:
            return msgspec.json.encode(self.body), "application/json"
        return self.content, self.content_type or "application/octet-stream"


def resource(body: Any, etag: str, *, status: int = 200, **headers: str) -> Answer:
    """One resource with its ETag; further headers by name, underscores for dashes."""
    return Answer(status, body, {"etag": etag, **_header_names(headers)})


def accepted(work_request_id: str, **headers: str) -> Answer:
    """202 with the work request that carries it out."""
    return Answer(202, headers={"opc-work-request-id": work_request_id, **_header_names(headers)})


def empty(status: int = 204) -> Answer:
    """Done, nothing to say."""
    return Answer(status)


def etag_of(resource_id: str, revision: int) -> str:
    """A strong validator: differs between resources and between revisions of one."""
    return hashlib.sha256(f"{resource_id}\n{revision}".encode()).hexdigest()[:32]


def _of_kind(value: Any, kind: type[T]) -> T:
    if isinstance(value, kind):
        return value
    raise TypeError(f"The route decodes {type(value).__name__}, its handler wants {kind.__name__}.")


def _header_names(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def _bare_etag(text: str) -> str:
    """Without quotes, and without the suffix that some proxies add when they compress."""
    return text.strip().strip('"').removesuffix("--gzip").strip('"')
