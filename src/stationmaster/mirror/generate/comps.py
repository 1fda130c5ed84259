"""Package groups (comps.xml) restricted to names that are kept: what becomes empty goes, the rest stays as written."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from stationmaster.mirror import failures
from stationmaster.mirror.generate import xmlparts

_LARGEST = 64 << 20
_LISTS = {"group": "packagelist", "category": "grouplist", "environment": "grouplist"}
HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n<comps>\n'
TAIL = b"</comps>\n"


@dataclasses.dataclass
class _Entry:
    """A group, category or environment: its bytes, and what further inputs add to its list."""

    raw: bytes
    members: set[str]
    added: list[bytes] = dataclasses.field(default_factory=list)


def read_groups(content: bytes, *, what: str) -> dict[str, frozenset[str]]:
    """Package names by group id."""
    root = xmlparts.read_tree(content, what=what)
    return {
        group.text_of("id"): frozenset(member.text for member in _members(group, "packagelist"))
        for group in root.named("group")
    }


def restrict(contents: Iterable[bytes], names: frozenset[str], *, what: str) -> bytes | None:
    """The groups of all inputs as one document; None when nothing of them is left.

    A group of several inputs is the first one's, with the members that only others have.
    """
    groups: dict[tuple[str, str], _Entry] = {}
    others: dict[tuple[str, str], _Entry] = {}
    languages: list[bytes] = []
    parsed = [(content, xmlparts.read_tree(content, what=what)) for content in contents]
    for content, root in parsed:
        for group in root.named("group"):
            _add(groups, content, group, names)
    held = frozenset(identity for _, identity in groups)
    for content, root in parsed:
        for node in root.children:
            if node.name in ("category", "environment"):
                _add(others, content, node, held)
            elif node.name == "langpacks" and not languages:
                languages += [_with_languages(content, node, names)]
    entries = [*groups.items(), *others.items()]
    if not entries:
        return None
    parts = [_written(entry, _LISTS[kind]) for (kind, _), entry in entries]
    return HEAD + b"".join(b"  " + part + b"\n" for part in [*parts, *filter(None, languages)]) + TAIL


def read_whole(blocks: Iterable[bytes], *, what: str) -> bytes:
    """A document of this kind, which is small enough to be held."""
    content = b"".join(_bounded(blocks, what))
    if not content:
        raise failures.MetadataInvalidError(f"{what} is empty.")
    return content


def _bounded(blocks: Iterable[bytes], what: str) -> Iterator[bytes]:
    size = 0
    for block in blocks:
        size += len(block)
        if size > _LARGEST:
            raise failures.MetadataTooLargeError(f"{what} is larger than {_LARGEST} bytes, as no list of groups is.")
        yield block


def _add(entries: dict[tuple[str, str], _Entry], content: bytes, node: xmlparts.Node, wanted: frozenset[str]) -> None:
    """Take a group (or what holds groups) in, shortened; nothing when none of its members is wanted."""
    lists = [_LISTS[node.name], "optionlist"]
    members = [member for name in lists for member in _members(node, name)]
    left = [member for member in members if member.text in wanted]
    if not left:
        return
    key = (node.name, node.text_of("id"))
    entry = entries.get(key)
    if entry is None:
        away = [_shifted(member, node.begin) for member in members if member.text not in wanted]
        raw = xmlparts.without(content[node.begin : node.end], away)
        entries[key] = _Entry(raw, {member.text for member in left})
        return
    for member in _members(node, lists[0]):
        if member.text in wanted and member.text not in entry.members:
            entry.members.add(member.text)
            entry.added.append(content[member.begin : member.end])


def _written(entry: _Entry, name: str) -> bytes:
    if not entry.added:
        return entry.raw
    end = entry.raw.rfind(f"</{name}".encode())
    if end < 0:  # the first input's has no such list, or an empty one
        return entry.raw
    return entry.raw[:end].rstrip() + b"".join(b"\n      " + one for one in entry.added) + b"\n    " + entry.raw[end:]


def _members(node: xmlparts.Node, name: str) -> list[xmlparts.Node]:
    return [member for found in node.named(name) for member in found.children]


def _shifted(node: xmlparts.Node, by: int) -> xmlparts.Node:
    return dataclasses.replace(node, begin=node.begin - by, end=node.end - by)


def _with_languages(content: bytes, node: xmlparts.Node, names: frozenset[str]) -> bytes:
    away = [one for one in node.children if one.attributes.get("name") not in names]
    if len(away) == len(node.children):
        return b""
    return xmlparts.without(content[node.begin : node.end], [_shifted(one, node.begin) for one in away])
