"""XML of RPM metadata as events from expat, which never builds a tree. Document types and entities are refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NoReturn, Protocol
from xml.parsers import expat

from stationmaster.mirror import failures

_MOST_NAMES = 1000
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
    try:
        for block in blocks:
            parser.Parse(block, False)
            yield
        parser.Parse(b"", True)
        yield
    except expat.ExpatError as exc:
        raise failures.MetadataInvalidError(f"{what} is not well-formed XML: {exc}.") from exc


class _LocalNames(dict[str, str]):
    """Element names without their namespace: few of them come over and over again."""

    def __missing__(self, name: str) -> str:
        local = name.rpartition(" ")[2]
        if len(self) < _MOST_NAMES:
            self[name] = local
        return local


def _guarded_parser(handler: Handler, what: str) -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")
    text: list[str] = []
    wants_text, wants_start = handler.wants_text, handler.wants_start
    locals_of = _LocalNames()

    def refuse(*_: object) -> NoReturn:
        raise failures.EntityRefusedError(
            f"{what} declares a document type or entities, which repository metadata never needs.",
            hint="The last good generation stays. Something is wrong with this upstream.",
        )

    def collect(piece: str) -> None:
        if len(text) > _MOST_PIECES:
            raise failures.MetadataTooLargeError(f"{what} holds an overlong value.")
        text.append(piece)

    def start(name: str, attributes: dict[str, str]) -> None:
        local = locals_of[name]
        parser.CharacterDataHandler = collect if local in wants_text else None
        if local in wants_text:
            text.clear()
        if local in wants_start or not wants_start:
            handler.start(local, attributes)

    def end(name: str) -> None:
        local = locals_of[name]
        if local in wants_text:
            parser.CharacterDataHandler = None
            handler.end(local, "".join(text).strip())

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    return parser
