"""XML metadata in parts that stay byte for byte as upstream wrote them: cut out of a stream, and shortened by ranges.

Nothing is parsed into values and written again, so nothing is lost that this program does not know. Entities are
refused, as everywhere (xmlstream); a document type is let pass where a format has one (comps).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn
from xml.parsers import expat
from xml.sax import saxutils

from stationmaster.mirror import failures

_LONGEST_PART = 64 << 20
_MOST_PIECES = 4096
_NAMESPACE = "xmlns"


@dataclasses.dataclass(frozen=True)
class Part:
    """One element with its text as it stands; ``texts`` and ``attributes`` of what was asked for, first come."""

    raw: bytes
    own: Mapping[str, str]
    texts: Mapping[str, str]
    attributes: Mapping[str, Mapping[str, str]]


@dataclasses.dataclass
class Node:
    """An element of a small document: ``begin`` and ``end`` are where it stands in its bytes."""

    name: str
    attributes: dict[str, str]
    begin: int
    end: int = 0
    text: str = ""
    children: list[Node] = dataclasses.field(default_factory=list)

    def named(self, name: str) -> Iterator[Node]:
        """The children of that name."""
        return (child for child in self.children if child.name == name)

    def text_of(self, name: str) -> str:
        """The text of the first child of that name, empty without one."""
        return next((child.text for child in self.named(name)), "")


def read_parts(
    blocks: Iterable[bytes], element: str, *, what: str, texts: Iterable[str] = (), attributes: Iterable[str] = ()
) -> Iterator[Part]:
    """Each ``element`` of a document, in order; MetadataInvalidError when one cannot be told from its surroundings."""
    cutter = _Cutter(element, what, frozenset(texts), frozenset(attributes))
    try:
        for block in blocks:
            cutter.feed(block)
            yield from cutter.taken()
        cutter.close()
        yield from cutter.taken()
    except expat.ExpatError as exc:
        raise failures.MetadataInvalidError(f"{what} is not well-formed XML: {exc}.") from exc


def read_root(blocks: Iterable[bytes], *, what: str) -> tuple[str, dict[str, str]]:
    """Name and attributes of the root element."""
    found: list[tuple[str, dict[str, str]]] = []
    parser = _parser(what)
    parser.StartElementHandler = lambda name, attributes: found.append((name, attributes))
    try:
        for block in blocks:
            parser.Parse(block, False)
            if found:
                return found[0]
    except expat.ExpatError as exc:
        raise failures.MetadataInvalidError(f"{what} is not well-formed XML: {exc}.") from exc
    raise failures.MetadataInvalidError(f"{what} is empty.")


def read_tree(raw: bytes, *, what: str) -> Node:
    """A small document, or a part of one, as elements that know where they stand."""
    parser = _parser(what)
    parser.buffer_text = True
    stack = [Node("", {}, 0)]
    texts: list[list[str]] = [[]]

    def start(name: str, attributes: dict[str, str]) -> None:
        node = Node(name, attributes, parser.CurrentByteIndex)
        stack[-1].children.append(node)
        stack.append(node)
        texts.append([])

    def end(_: str) -> None:
        node, place = stack.pop(), parser.CurrentByteIndex
        pieces = texts.pop()
        # Of an empty-element tag the parser says where it ends, of an end tag where it begins.
        is_empty = not pieces and not node.children and raw[place - 2 : place] == b"/>"
        node.end = place if is_empty else raw.index(b">", place) + 1
        node.text = "".join(pieces).strip()

    def collect(piece: str) -> None:
        texts[-1].append(piece)

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, collect
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as exc:
        raise failures.MetadataInvalidError(f"{what} is not well-formed XML: {exc}.") from exc
    return stack[0].children[0]


def without(raw: bytes, nodes: Iterable[Node]) -> bytes:
    """The bytes without those elements, and without the space before each."""
    kept: list[bytes] = []
    place = 0
    for node in sorted(nodes, key=lambda one: one.begin):
        if node.begin >= place:  # one within another goes with it
            kept.append(raw[place : node.begin].rstrip())
            place = node.end
    kept.append(raw[place:])
    return b"".join(kept)


def merged_namespaces(roots: Iterable[Mapping[str, str]], *, what: str) -> dict[str, str]:
    """The namespaces that the roots declare; parts of several documents must mean the same by a prefix."""
    merged: dict[str, str] = {}
    for attributes in roots:
        for name, value in attributes.items():
            is_namespace = name == _NAMESPACE or name.startswith(_NAMESPACE + ":")
            if is_namespace and merged.setdefault(name, value) != value:
                raise failures.MetadataInvalidError(
                    f"The inputs mean different things by {name} in {what}: {merged[name]} and {value}.",
                    hint="Generate from one of them at a time.",
                )
    return merged


def start_tag(name: str, attributes: Mapping[str, str]) -> bytes:
    """A start tag."""
    words = [f"{key}={saxutils.quoteattr(value)}" for key, value in attributes.items()]
    return f"<{' '.join([name, *words])}>".encode()


class _Cutter:
    """Keeps the bytes since the present part began; a part ends where the next one, or the document, does.

    Only starts of elements are listened to: an end would cost as much again for each file of each package.
    """

    def __init__(self, element: str, what: str, texts: frozenset[str], attributes: frozenset[str]) -> None:
        self._element = element
        self._what = what
        self._texts = texts
        self._attributes = attributes
        self._buffer = bytearray()
        self._offset = 0  # of the buffer in the document
        self._begin: int | None = None
        self._root = ""
        self._found: list[Part] = []
        self._close = re.compile(rb"</" + re.escape(element.encode()) + rb"[ \t\r\n]*>\Z")
        self._parser = _parser(what)
        self._parser.StartElementHandler = self._start
        self._own: dict[str, str] = {}
        self._text: dict[str, list[str]] = {}
        self._seen: dict[str, dict[str, str]] = {}

    def feed(self, block: bytes) -> None:
        self._buffer += block
        self._parser.Parse(block, False)
        if self._begin is None:  # a tag may have begun: what the parser has not taken yet stays (-1: it does not know)
            self._drop(max(self._offset, self._parser.CurrentByteIndex))
        if len(self._buffer) > _LONGEST_PART:
            raise failures.MetadataTooLargeError(f"{self._what} holds an entry without end.")

    def close(self) -> None:
        self._parser.Parse(b"", True)
        if self._begin is not None:
            end = self._buffer.rfind(b"</" + self._root.encode())
            self._take(self._offset + max(0, end))

    def taken(self) -> Iterator[Part]:
        yield from self._found
        self._found.clear()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._parser.CharacterDataHandler = None
        if name == self._element:
            place = self._parser.CurrentByteIndex
            if self._begin is not None:
                self._take(place)
            self._drop(place)
            self._begin, self._own, self._text, self._seen = place, attributes, {}, {}
            return
        if not self._root:
            self._root = name
        if self._begin is None:
            return
        if name in self._texts and name not in self._text:
            pieces = self._text[name] = []

            def collect(piece: str) -> None:
                if len(pieces) > _MOST_PIECES:
                    raise failures.MetadataTooLargeError(f"{self._what} holds an overlong value.")
                pieces.append(piece)

            self._parser.CharacterDataHandler = collect
        if name in self._attributes and name not in self._seen:
            self._seen[name] = attributes

    def _take(self, end: int) -> None:
        assert self._begin is not None  # noqa: S101 - for the type checker
        raw = bytes(self._buffer[self._begin - self._offset : end - self._offset]).rstrip()
        while raw.endswith(b"-->"):
            raw = raw[: raw.rfind(b"<!--")].rstrip()
        if not self._close.search(raw):
            raise failures.MetadataInvalidError(
                f"{self._what} holds something between its {self._element} elements that is none of them.",
                hint="Mirror the source as it is, or report it to those who run the upstream.",
            )
        texts = {name: "".join(pieces).strip() for name, pieces in self._text.items()}
        self._found.append(Part(raw, self._own, texts, self._seen))
        self._begin = None

    def _drop(self, until: int) -> None:
        del self._buffer[: until - self._offset]
        self._offset = until


def _parser(what: str) -> expat.XMLParserType:
    parser = expat.ParserCreate()

    def refuse(*_: object) -> NoReturn:
        raise failures.EntityRefusedError(f"{what} declares entities, which repository metadata never needs.")

    def require_utf8(_: str, encoding: str | None, __: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "utf8", "us-ascii", "ascii"):
            raise failures.MetadataInvalidError(f"{what} is encoded as {encoding}; expected is UTF-8.")

    parser.EntityDeclHandler = refuse
    parser.XmlDeclHandler = require_utf8
    return parser
