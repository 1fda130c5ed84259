"""The route table: one entry per operation. The frame (``api.frame``) does for each what its flags say."""

from __future__ import annotations

import dataclasses
import enum
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from stationmaster.hub.api.call import Answer, Call

OSMH = "/20220901"
OWN = "/stationmaster/v1"
USUAL_BODY_BYTES = 1 << 20


class Access(enum.Enum):
    """Whose signature an operation wants."""

    PEOPLE = "people"
    MACHINES = "machines"
    ANYONE = "anyone"  # unsigned


class Transaction(enum.Enum):
    """What the frame opens around a handler: it commits when the handler returns, and rolls back when it raises."""

    READ = "read"
    DECISION = "decision"
    FACT = "fact"


Handler = Callable[["Call", sa.Connection], "Answer"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Route:
    """One operation. ``path`` has ``{name}`` segments; those that end in ``Id`` are checked to be OCIDs.

    ``prepare`` runs before the transaction: what may take long and writes nothing, such as asking the name service;
    the handler finds its result in ``call.prepared``.

    ``body`` and ``query`` are the types that the request is decoded into before a transaction is opened; an operation
    without ``body`` takes none, and ignores one that is empty or ``{}``. ``answers`` is the type of a good answer's
    body, for the description of our own API (``api.openapi``); None for one without.
    """

    method: str
    path: str
    handler: Handler
    body: Any = None
    query: Any = None
    answers: Any = None
    access: Access = Access.PEOPLE
    transaction: Transaction | None = None
    is_body_optional: bool = False
    takes_retry_token: bool = True
    prepare: Callable[[Call], Any] | None = None
    max_body_bytes: int = USUAL_BODY_BYTES

    @property
    def opened(self) -> Transaction:
        """The transaction: a reading one for GET, a deciding one otherwise, unless the route says so."""
        if self.transaction is not None:
            return self.transaction
        return Transaction.READ if self.method == "GET" else Transaction.DECISION


@dataclasses.dataclass(frozen=True)
class Match:
    """What a path led to: the operations there by method, and the path's parameters."""

    methods: Mapping[str, Route]
    parameters: Mapping[str, str]


class RouteTable:
    """Finds the operation of a path; a path segment that is named wins over one that is a parameter."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._by_length: dict[int, list[tuple[tuple[str, ...], dict[str, Route]]]] = {}
        patterns: dict[tuple[str, ...], dict[str, Route]] = {}
        for route in self.routes:
            pattern = tuple(route.path.strip("/").split("/"))
            methods = patterns.setdefault(pattern, {})
            if route.method in methods:
                raise ValueError(f"{route.method} {route.path} is in the route table twice.")
            methods[route.method] = route
        for pattern, methods in sorted(patterns.items(), key=lambda item: [part.startswith("{") for part in item[0]]):
            self._by_length.setdefault(len(pattern), []).append((pattern, methods))

    def find(self, raw_path: str) -> Match | None:
        """The match of a path as it was received; repeated and trailing slashes do not count (design section 9)."""
        segments = [urllib.parse.unquote(part) for part in raw_path.split("/") if part]
        for pattern, methods in self._by_length.get(len(segments), ()):
            parameters = _fit(pattern, segments)
            if parameters is not None:
                return Match(methods, parameters)
        return None


def _fit(pattern: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    parameters = {}
    for part, segment in zip(pattern, segments, strict=True):
        if part.startswith("{"):
            parameters[part[1:-1]] = segment
        elif part != segment:
            return None
    return parameters
