"""XML of RPM metadata as events from expat, which never builds a tree. Document types and entities are refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NoReturn, Protocol
from xml.parsers import expat

from stationmaster.mirror import failures

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


def _guarded_parser(handler: Handler, what: str) -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")
    text: list[str] = []
    wants_text = handler.wants_text

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
        local = name.rpartition(" ")[2]
        text.clear()
        parser.CharacterDataHandler = collect if local in wants_text else None
        handler.start(local, attributes)

    def end(name: str) -> None:
        local = name.rpartition(" ")[2]
        if local in wants_text:
            parser.CharacterDataHandler = None
            handler.end(local, "".join(text).strip())

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    return parser
