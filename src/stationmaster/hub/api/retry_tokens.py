"""``opc-retry-token``: the same token with the same request gives the same answer for 24 hours.

The answer is stored in the transaction that made it, so that a request that was carried out is never carried out again,
and one that failed may be. Two at once: the later one loses the race for the row, and finds the first one's answer.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable

import sqlalchemy as sa

from stationmaster.hub.api.call import Answer, Call
from stationmaster.hub.db import schema, store
from stationmaster.model import errors

LIFE = datetime.timedelta(hours=24)


def answer_once(call: Call, tx: sa.Connection, work: Callable[[], Answer]) -> Answer:
    """``work()``, or what it gave when the same caller sent the same token before."""
    token = call.headers.get("opc-retry-token")
    if token is None or not call.route.takes_retry_token or call.method not in {"POST", "DELETE"}:
        return work()
    if not 1 <= len(token) <= 64:
        raise errors.CallerError("opc-retry-token must have 1 to 64 characters.")
    table, digest = schema.retry_tokens, _digest(call)
    row = tx.execute(
        sa.select(table).where(table.c.principal_id == call.principal.id, table.c.token == token)
    ).one_or_none()
    if row is not None and row.time_created > call.now - LIFE:
        if row.request_digest != digest:
            raise errors.ConflictError(
                "This opc-retry-token was used for another request.",
                code="InvalidatedRetryToken",
                hint="Use a token once per request; repeat it only to repeat that request.",
            )
        return Answer(row.status, headers=row.headers, content=row.body, content_type=row.headers.get("content-type"))
    answer = work()
    _store(call, tx, token, digest, answer)
    return answer


def forget_expired(tx: sa.Connection, now: datetime.datetime) -> None:
    """Drop tokens whose time is over."""
    tx.execute(schema.retry_tokens.delete().where(schema.retry_tokens.c.time_created <= now - LIFE))


def _store(call: Call, tx: sa.Connection, token: str, digest: str, answer: Answer) -> None:
    table = schema.retry_tokens
    content, content_type = answer.encoded()
    tx.execute(table.delete().where(table.c.principal_id == call.principal.id, table.c.token == token))
    try:
        tx.execute(
            table.insert().values(
                principal_id=call.principal.id,
                token=token,
                request_digest=digest,
                status=answer.status,
                headers={**answer.headers, "content-type": content_type},
                body=content,
                time_created=call.now,
            )
        )
    except sa.exc.IntegrityError as exc:
        raise store.RaceError from exc


def _digest(call: Call) -> str:
    text = f"{call.method} {call.target}\n{call.headers.get('if-match', '')}\n".encode()
    return hashlib.sha256(text + call.content).hexdigest()
