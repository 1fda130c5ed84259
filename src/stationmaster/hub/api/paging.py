"""Pages of a list.

The token is a sealed position (last sort value and id), so that the hub keeps nothing about it, and a page neither
repeats nor skips what stays in the list while others come and go.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
import sqlalchemy as sa

from stationmaster.hub.api import decoding
from stationmaster.hub.api.call import Answer, Call
from stationmaster.model import errors

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Page(Generic[T]):
    """Some of the items; ``next_token`` when there are more; ``total`` when it was asked for."""

    items: Sequence[T]
    next_token: str | None = None
    total: int | None = None

    def answer(self, body: Any) -> Answer:
        """The collection ``body`` with the headers of this page."""
        headers = {}
        if self.next_token is not None:
            headers["opc-next-page"] = self.next_token
        if self.total is not None:
            headers["opc-total-items"] = str(self.total)
        return Answer(200, body, headers)


def select_page(
    call: Call,
    tx: sa.Connection,
    statement: sa.Select[Any],
    *,
    columns: Mapping[str, sa.ColumnElement[Any]],
    id_column: sa.ColumnElement[Any],
    is_counted: bool = False,
) -> Page[sa.Row[Any]]:
    """One page of a query. ``columns`` maps each ``sortBy`` value to its column, which must not be null."""
    query = call.query(decoding.PageQuery)
    column, descending = columns[query.sort_by], query.is_descending
    total = None
    if is_counted:
        total = tx.execute(sa.select(sa.func.count()).select_from(statement.order_by(None).subquery())).scalar_one()
    if query.page is not None:
        position = sa.tuple_(*(sa.literal(part, type_=col.type) for part, col in _position(call, column, id_column)))
        pair = sa.tuple_(column, id_column)
        statement = statement.where(pair < position if descending else pair > position)
    order = [part.desc() if descending else part.asc() for part in (column, id_column)]
    labelled = statement.add_columns(column.label("_sort"), id_column.label("_id"))
    rows = tx.execute(labelled.order_by(*order).limit(query.limit + 1)).all()
    more = len(rows) > query.limit
    last = rows[query.limit - 1] if more else None
    token = _seal(call, last._sort, last._id) if last is not None else None  # noqa: SLF001 - labels of ours
    return Page(rows[: query.limit], token, total)


def slice_page(
    call: Call, items: Sequence[T], *, keys: Mapping[str, Callable[[T], Any]], item_id: Callable[[T], str]
) -> Page[T]:
    """One page of items that were computed; ``keys`` maps each ``sortBy`` value to what it sorts by."""
    query = call.query(decoding.PageQuery)
    key, descending = keys[query.sort_by], query.is_descending
    ordered = sorted(items, key=lambda item: (_plain(key(item)), item_id(item)), reverse=descending)
    if query.page is not None:
        value, last_id = _open(call, query.page)
        position = (value, last_id)
        ordered = [
            item
            for item in ordered
            if ((_plain(key(item)), item_id(item)) < position) == descending
            and (_plain(key(item)), item_id(item)) != position
        ]
    more = len(ordered) > query.limit
    shown = ordered[: query.limit]
    return Page(shown, _seal(call, key(shown[-1]), item_id(shown[-1])) if more else None)


def _position(
    call: Call, column: sa.ColumnElement[Any], id_column: sa.ColumnElement[Any]
) -> list[tuple[Any, sa.ColumnElement[Any]]]:
    text, last_id = _open(call, call.query(decoding.PageQuery).page or "")
    is_time = isinstance(column.type, sa.TypeDecorator)  # the one decorated type
    return [(datetime.datetime.fromisoformat(text) if is_time else text, column), (last_id, id_column)]


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime.datetime) else str(value)


def _seal(call: Call, value: Any, item_id: str) -> str:
    content = msgspec.json.encode([_plain(value), item_id])
    return base64.urlsafe_b64encode(_mac(call, content) + content).decode().rstrip("=")


def _open(call: Call, token: str) -> tuple[str, str]:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError as exc:
        raise _bad_token() from exc
    mac, content = raw[:16], raw[16:]
    if not hmac.compare_digest(mac, _mac(call, content)):
        raise _bad_token()
    value, item_id = msgspec.json.decode(content, type=tuple[str, str])
    return value, item_id


def _mac(call: Call, content: bytes) -> bytes:
    """Bound to the list and its filters: a token of one list is nothing in another."""
    query = msgspec.structs.replace(call.query(decoding.PageQuery), page=None, limit=1)
    scope = call.target.partition("?")[0].strip("/").encode() + msgspec.json.encode(query)
    return hmac.new(call.hub.page_secret, scope + b"\n" + content, hashlib.sha256).digest()[:16]


def _bad_token() -> errors.CallerError:
    return errors.CallerError(
        "page is not a token of this list.", hint="Use opc-next-page of the former answer, with the same filters."
    )
