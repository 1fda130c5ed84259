"""The description of our own API as OpenAPI 3.1, made from the route table and the types of bodies and answers.

What OSMH's API has is described by its own publisher; here is what lies under ``/stationmaster/v1``.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

import stationmaster
from stationmaster.hub.api import failures
from stationmaster.hub.api.call import Answer, Call
from stationmaster.hub.api.routes import OWN, Access, Route

_REFERENCE = "#/components/schemas/{name}"
_ABOUT = (
    "What Stationmaster adds to the API of OS Management Hub. Requests of people and of machines are signed as OCI "
    "clients sign theirs; `x-access` says whose signature an operation wants."
)


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole description. The order of ``routes`` does not change it."""
    own = sorted((one for one in routes if one.path.startswith(f"{OWN}/")), key=lambda one: (one.path, one.method))
    types = [one for route in own for one in (route.body, route.answers, route.query) if one is not None]
    found, components = msgspec.json.schema_components([*types, failures.ErrorBody], ref_template=_REFERENCE)
    schemas = dict(zip((id(one) for one in types), found, strict=False))
    paths: dict[str, dict[str, Any]] = {}
    for route in own:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas, components, found[-1])
    return {
        "openapi": "3.1.0",
        "info": {"title": "Stationmaster", "version": stationmaster.__version__, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"signature": {"type": "apiKey", "in": "header", "name": "authorization"}},
        },
    }


def _operation(
    route: Route, schemas: Mapping[int, Any], components: Mapping[str, Any], error: Mapping[str, Any]
) -> dict[str, Any]:
    words = inspect.getdoc(route.handler) or ""
    made: dict[str, Any] = {
        "operationId": _name(route),
        "summary": words.partition("\n")[0],
        "x-access": route.access.value,
        "parameters": [*_of_path(route), *_of_query(route, schemas, components)],
        "responses": {
            "200" if route.answers is not None else "204": _answer(route, schemas),
            "default": {"description": "Refused or failed.", "content": {"application/json": {"schema": error}}},
        },
        "security": [] if route.access is Access.ANYONE else [{"signature": []}],
    }
    if route.body is not None:
        content = {"application/json": {"schema": schemas[id(route.body)]}}
        made["requestBody"] = {"required": not route.is_body_optional, "content": content}
    return made


def _answer(route: Route, schemas: Mapping[int, Any]) -> dict[str, Any]:
    if route.answers is None:
        return {"description": "Done."}
    kind = "application/json" if route.answers is not str else "application/x-pem-file"
    return {"description": "The answer.", "content": {kind: {"schema": schemas[id(route.answers)]}}}


def _of_path(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]


def _of_query(route: Route, schemas: Mapping[int, Any], components: Mapping[str, Any]) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    name = str(schemas[id(route.query)]["$ref"]).rpartition("/")[2]
    described = components[name]
    return [
        {"name": field, "in": "query", "required": field in described.get("required", ()), "schema": schema}
        for field, schema in described["properties"].items()
    ]


def _name(route: Route) -> str:
    """From method and path: ``get_groups_balancer``."""
    parts = re.findall(r"\w+", route.path.removeprefix(OWN))
    return "_".join([route.method.lower(), *parts])


def route_for(others: tuple[Route, ...]) -> Route:
    """The operation that answers with the description of ``others`` and itself, which is made when it is asked for."""

    @functools.cache
    def encoded() -> bytes:
        return msgspec.json.encode(document((*others, route)))

    def show(call: Call, tx: sa.Connection) -> Answer:
        """GET openapi.json: this description."""
        del call, tx
        return Answer(200, content=encoded(), content_type="application/json")

    route = Route(method="GET", path=f"{OWN}/openapi.json", handler=show, answers=dict[str, Any], access=Access.ANYONE)
    return route
