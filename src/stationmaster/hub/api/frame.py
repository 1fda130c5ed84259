"""The frame around all operations, as an ASGI application: match, authenticate, decode, run in a transaction, answer.

Handlers are plain functions in worker threads; the event loop only moves bytes. Nothing here redirects, and no trace
of an error leaves the hub.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from stationmaster.hub import context, logs, measures
from stationmaster.hub.api import authentication, decoding, failures, retry_tokens, routes
from stationmaster.hub.api.call import NOBODY, Answer, Call, Principal, PrincipalKind
from stationmaster.hub.db import primary, store
from stationmaster.model import errors, ocid, signing

_BODY_GRACE_SECONDS = 10.0
_SLOWEST_BODY = 4096  # bytes a second
_REQUEST_ID = re.compile(r"[A-Za-z0-9/_.-]{1,128}")


class Frame:
    """Serves a route table."""

    def __init__(self, hub: context.Hub, table: routes.RouteTable, counted: measures.Measures) -> None:
        self._hub = hub
        self._table = table
        self._counted = counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        started = time.perf_counter()
        request = Request(scope, receive)
        headers = _headers(scope)
        request_id = _request_id(headers)
        principal = NOBODY
        try:
            answer, principal = await self._answer(request, headers, request_id)
        except ClientDisconnect:
            return
        except Exception as exc:  # noqa: BLE001 - the edge of a request: anything becomes an error body
            answer = _failure(exc, request_id)
        content, content_type = answer.encoded()
        response = Response(content, answer.status)
        if content or answer.status != 204:
            response.headers["content-type"] = content_type
        for name, value in {**answer.headers, "opc-request-id": request_id}.items():
            response.headers[name] = value
        seconds = time.perf_counter() - started
        self._counted.request(measures.operation_of(scope["path"]), answer.status, seconds)
        logs.write(
            "request",
            request_id=request_id,
            method=request.method,
            path=scope["path"][:500],
            status=answer.status,
            principal=principal.id,
            milliseconds=round(seconds * 1000, 1),
        )
        await response(scope, receive, send)

    async def _answer(self, request: Request, headers: Mapping[str, str], request_id: str) -> tuple[Answer, Principal]:
        raw_path = request.scope.get("raw_path", request.scope["path"].encode()).decode("latin-1").partition("?")[0]
        query_string = request.scope["query_string"].decode("latin-1")
        target = f"{raw_path}?{query_string}" if query_string else raw_path
        route, parameters = self._find(request.method, raw_path)
        self._require_size(route, headers)
        principal = NOBODY
        if route.access is not routes.Access.ANYONE:
            principal = await run_in_threadpool(self._authenticate, request.method, target, headers)
        content = await _read(request, route.max_body_bytes)
        call = Call(
            hub=self._hub,
            route=route,
            principal=principal,
            request_id=request_id,
            now=self._hub.clock.now(),
            method=request.method,
            target=target,
            path=parameters,
            headers=headers,
            content=content if request.method in signing.BODY_METHODS else b"",
        )
        return await run_in_threadpool(self._serve, call), principal

    def _find(self, method: str, raw_path: str) -> tuple[routes.Route, Mapping[str, str]]:
        match = self._table.find(raw_path)
        if match is None:
            raise errors.NotFoundError("There is no operation at this path.", code="NotFound")
        if method not in match.methods:
            raise errors.CallerError(
                f"{method} is not allowed here, only {', '.join(sorted(match.methods))}.", code="MethodNotAllowed"
            )
        return match.methods[method], match.parameters

    def _require_size(self, route: routes.Route, headers: Mapping[str, str]) -> None:
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > route.max_body_bytes:
            raise _too_large(route.max_body_bytes)

    def _authenticate(self, method: str, target: str, headers: Mapping[str, str]) -> Principal:
        with self._hub.store.read() as tx:
            return authentication.authenticate(
                tx, method=method, target=target, headers=headers, now=self._hub.clock.now()
            )

    def _serve(self, call: Call) -> Answer:
        """In a worker thread, since digests and JSON of a large inventory take a while."""
        if call.route.access is not routes.Access.ANYONE:
            authentication.require_body(call.method, call.headers, call.content)
        _require_access(call.route, call.principal)
        _require_ocids(call.path)
        decoded = dataclasses.replace(
            call,
            decoded_body=decoding.decode_body(call.route, call.content),
            decoded_query=decoding.decode_query(call.route, call.target.partition("?")[2]),
        )
        if call.route.prepare is not None:
            decoded = dataclasses.replace(decoded, prepared=call.route.prepare(decoded))
        try:
            return self._run(decoded)
        except primary.ChangedError:  # nothing was written; handlers ask whether the hub may decide each time
            return self._run(decoded)

    def _run(self, call: Call) -> Answer:
        opened = call.route.opened
        if opened is routes.Transaction.READ:
            with self._hub.store.read() as tx:
                return call.route.handler(call, tx)
        kind = store.Kind.FACT if opened is routes.Transaction.FACT else store.Kind.DECISION
        return self._hub.store.transact(
            lambda tx: retry_tokens.answer_once(call, tx, lambda: call.route.handler(call, tx)), kind=kind
        )


def _require_access(route: routes.Route, principal: Principal) -> None:
    wanted = {routes.Access.PEOPLE: PrincipalKind.USER, routes.Access.MACHINES: PrincipalKind.MACHINE}
    if route.access in wanted and principal.kind is not wanted[route.access]:
        raise errors.NotFoundError("Authorization failed or requested resource not found.")


def _require_ocids(parameters: Mapping[str, str]) -> None:
    for name, value in parameters.items():
        if name.endswith("Id"):
            ocid.require_ocid(value, field=name)


def _headers(scope: Scope) -> dict[str, str]:
    """Names in lower case. A name that came twice is joined, so that no signature over one of the two can hold."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _request_id(headers: Mapping[str, str]) -> str:
    given = headers.get("opc-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16).upper()


async def _read(request: Request, limit: int) -> bytes:
    """The body. Who sends it slower than any real line is sent away: each such sender holds a connection."""
    pieces, size, loop = [], 0, asyncio.get_running_loop()
    patience = loop.time() + _BODY_GRACE_SECONDS
    try:
        async with asyncio.timeout_at(patience) as waiting:
            async for piece in request.stream():
                size += len(piece)
                if size > limit:
                    raise _too_large(limit)
                pieces.append(piece)
                waiting.reschedule(patience + size / _SLOWEST_BODY)
    except TimeoutError as exc:
        raise errors.CallerError("The body did not arrive in time.", code="RequestTimeout") from exc
    return b"".join(pieces)


def _too_large(limit: int) -> errors.CallerError:
    return errors.CallerError(f"The body is larger than {limit} bytes.", code="RequestEntityTooLarge")


def _failure(exc: Exception, request_id: str) -> Answer:
    error = failures.translate(exc)
    status = failures.status_of(error)
    if status == 503:  # what is away says so by itself; a trace with each request would bury the log
        reason = str(exc).partition("\n")[0]
        logs.write("request refused", level=logging.WARNING, request_id=request_id, reason=reason, action="answer 503")
    elif status >= 500:
        logs.write("request failed", level=logging.ERROR, is_traced=True, request_id=request_id, action="answer 5xx")
    headers: dict[str, Any] = {"retry-after": "1"} if status == 503 else {}
    return Answer(status, failures.body_of(error), headers)
