"""XML of RPM metadata as events from expat, which never builds a tree. Document types and entities are refused.

What expat and its binding keep for the whole document is bounded here: open elements, names, the piece that is not
whole yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn, Protocol
from xml.parsers import expat

from stationmaster.mirror import failures

_MOST_NAMES = 1000
_DEEPEST = 100
_LARGEST_PIECE = 4 << 20  # of markup: a start tag with its attributes, a comment; text comes in smaller ones
_MOST_PIECES = 64  # expat hands text over in pieces of at most its buffer


class Handler(Protocol):
    """Takes elements as they come; names are without namespace prefix."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        ...

    def end(self, name: str, text: str) -> None:
        """An element that ``wants_text`` named ends, with its text."""
        ...

    wants_text: frozenset[str]
    wants_start: frozenset[str]  # empty: the start of every element


def parse_blocks(blocks: Iterable[bytes], handler: Handler, *, what: str) -> Iterator[None]:
    """Feed a document to a handler, and yield after each block, so that what it found can be drained.

    MetadataInvalidError when the document is not well-formed.
    """
    parser = _guarded_parser(handler, what)
    fed = 0
    for block in blocks:
        _parse(parser, block, what)
        fed += len(block)
        if fed - max(0, parser.CurrentByteIndex) > _LARGEST_PIECE + len(block):
            raise failures.MetadataTooLargeError(f"{what} holds a tag or comment without end.")
        if len(parser.intern) > _MOST_NAMES:
            raise failures.MetadataTooLargeError(
                f"{what} uses more than {_MOST_NAMES} names of elements and attributes."
            )
        yield
    _parse(parser, b"", what, is_end=True)
    yield


def _parse(parser: expat.XMLParserType, block: bytes, what: str, *, is_end: bool = False) -> None:
    try:
        parser.Parse(block, is_end)
    except (expat.ExpatError, LookupError, ValueError) as exc:  # the last two: encodings that it does not know
        raise failures.MetadataInvalidError(f"{what} is not well-formed XML: {exc}.") from exc


class _LocalNames(dict[str, str]):
    """Element names without their namespace: few of them come over and over again."""

    def __missing__(self, name: str) -> str:
        local = name.rpartition(" ")[2]
        if len(self) < _MOST_NAMES:
            self[name] = local
        return local


def _refusal(what: str) -> Callable[..., NoReturn]:
    def refuse(*_: object) -> NoReturn:
        raise failures.EntityRefusedError(
            f"{what} declares a document type or entities, which repository metadata never needs.",
            hint="The last good generation stays. Something is wrong with this upstream.",
        )

    return refuse


def _guarded_parser(handler: Handler, what: str) -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")
    text: list[str] = []
    wants_text, wants_start = handler.wants_text, handler.wants_start
    locals_of = _LocalNames()
    depth = 0

    def collect(piece: str) -> None:
        if len(text) > _MOST_PIECES:
            raise failures.MetadataTooLargeError(f"{what} holds an overlong value.")
        text.append(piece)

    def declare(*_: object) -> None:
        """Nothing; prefixes and addresses of namespaces are counted among the names when somebody listens."""

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise failures.MetadataTooLargeError(f"{what} nests elements more than {_DEEPEST} deep.")
        local = locals_of[name]
        parser.CharacterDataHandler = collect if local in wants_text else None
        if local in wants_text:
            text.clear()
        if local in wants_start or not wants_start:
            handler.start(local, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        local = locals_of[name]
        if local in wants_text:
            parser.CharacterDataHandler = None
            handler.end(local, "".join(text).strip())

    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refusal(what)
    parser.StartNamespaceDeclHandler = declare
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    return parser
