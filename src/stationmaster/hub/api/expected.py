"""Which values a field of a body or query takes, read off its type, for errors that say what was expected."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec


def values_at(kind: Any, place: str) -> tuple[str, ...]:
    """The values of the enumeration at ``place`` (``proxy.hosts[0]``), in their order; none when it is none."""
    types = list(_unfolded(msgspec.inspect.type_info(kind)))
    for name in (re.sub(r"\[[^]]*\]", "", part) for part in place.split(".") if part):
        types = [inner for one in types for inner in _fields_of(one, name)]
    found = [str(value) for one in types for value in _values_of(one)]
    return tuple(dict.fromkeys(found))


def _unfolded(kind: msgspec.inspect.Type) -> Iterator[msgspec.inspect.Type]:
    """``kind`` itself, or what a union or a list is made of."""
    if isinstance(kind, msgspec.inspect.UnionType):
        for inner in kind.types:
            yield from _unfolded(inner)
    elif isinstance(kind, msgspec.inspect.ListType):
        yield from _unfolded(kind.item_type)
    else:
        yield kind


def _fields_of(kind: msgspec.inspect.Type, name: str) -> Iterator[msgspec.inspect.Type]:
    if not isinstance(kind, msgspec.inspect.StructType):
        return
    if name == kind.tag_field:
        yield msgspec.inspect.LiteralType(values=(str(kind.tag),))
    for field in kind.fields:
        if field.encode_name == name:
            yield from _unfolded(field.type)


def _values_of(kind: msgspec.inspect.Type) -> tuple[object, ...]:
    if isinstance(kind, msgspec.inspect.EnumType):
        return tuple(member.value for member in kind.cls)
    if isinstance(kind, msgspec.inspect.LiteralType):
        return tuple(kind.values)
    return ()
