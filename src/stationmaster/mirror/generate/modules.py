"""Module metadata (modules.yaml): what it says of packages, and the same restricted to what is kept.

A document of which everything is kept stays as upstream wrote it. One that loses artifacts is written anew from its
nodes, so that values keep their spelling (a stream 1.10 is no number). A document at a time: these files reach 50 MB.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import yaml

from stationmaster.mirror import failures
from stationmaster.mirror.generate import selection

_LONGEST_DOCUMENT = 32 << 20
_DEEPEST = 1000
_INDENT = re.compile(r"^[-?: \t]+", re.MULTILINE)
_STREAM_KINDS = frozenset({"modulemd", "modulemd-stream"})
_SOURCES = (".src", ".nosrc")  # listed with each stream, and never in the repository of the binary packages


@dataclasses.dataclass(frozen=True)
class Document:
    """One document: its kind, and which module and stream it is about. ``stream`` where it is a stream itself."""

    number: int
    kind: str
    module: str
    stream_name: str
    stream: selection.Stream | None = None


def split_documents(blocks: Iterable[bytes], *, what: str) -> Iterator[str]:
    """The documents of a file, each without the lines around it."""
    lines: list[str] = []
    size = 0
    for line in _lines(blocks, what):
        is_start = line == "---" or line.startswith("--- ")
        if is_start or line.rstrip() == "...":
            yield from _document(lines)
            lines, size = [line[4:]] if line.startswith("--- ") else [], 0
            continue
        lines.append(line)
        size += len(line)
        if size > _LONGEST_DOCUMENT:
            raise failures.MetadataTooLargeError(f"{what} holds a document without end.")
    yield from _document(lines)


def read_document(number: int, text: str, *, what: str) -> Document:
    """What a document is about; MetadataInvalidError when that cannot be told: then nothing can be chosen rightly."""
    node = _composed(text, what)
    kind, data = _scalar(_child(node, "document")), _child(node, "data")
    if kind == "modulemd-defaults":
        return Document(number, kind, _scalar(_child(data, "module")), "")
    if kind in ("modulemd-translations", "modulemd-obsoletes"):
        return Document(number, kind, _scalar(_child(data, "module")), _scalar(_child(data, "stream")))
    if kind not in _STREAM_KINDS:
        return Document(number, kind, "", "")
    module, stream = _scalar(_child(data, "name")), _scalar(_child(data, "stream"))
    version = _scalar(_child(data, "version"))
    depends = _child(data, "dependencies")
    dependencies = yaml.serialize(depends, Dumper=yaml.CSafeDumper) if depends is not None else ""
    architecture = _scalar(_child(data, "arch"))
    profiles = {
        name: frozenset(_strings(_child(profile, "rpms"))) for name, profile in _pairs(_child(data, "profiles"))
    }
    found = selection.Stream(
        number=number,
        module=module,
        stream=stream,
        version=int(version) if version.isascii() and version.isdigit() and len(version) < 25 else 0,
        line=f"{module}\n{stream}\n{architecture}\n{dependencies}",
        artifacts=tuple(_normal(one) for one in _strings(_child(_child(data, "artifacts"), "rpms"))),
        profiles=profiles,
    )
    return Document(number, kind, module, stream, found)


def restrict_stream(text: str, kept: Callable[[str], bool], *, what: str) -> str:
    """A stream's document with the artifacts that are kept, and its profiles and API without what went."""
    node = _composed(text, what)
    data = _child(node, "data")
    artifacts = _child(data, "artifacts")
    before = _strings(_child(artifacts, "rpms"))
    left = [one for one in before if is_source(one) or kept(_normal(one))]
    gone = {_name_of(one) for one in before} - {_name_of(one) for one in left}
    _keep_strings(_child(artifacts, "rpms"), set(left))
    for _, digests in _pairs(_child(artifacts, "rpm-map")):
        if not isinstance(digests, yaml.MappingNode):
            continue
        digests.value = [
            (key, value)
            for key, value in digests.value
            if is_source(nevra := _scalar(_child(value, "nevra"))) or kept(_normal(nevra))
        ]
    for rpms in (
        _child(_child(data, "api"), "rpms"),
        *(_child(one, "rpms") for _, one in _pairs(_child(data, "profiles"))),
    ):
        _keep_strings(rpms, set(_strings(rpms)) - gone)
    return _serialized(node)


def restrict_defaults(text: str, streams: frozenset[str], *, what: str) -> str | None:
    """A module's defaults as far as its ``streams`` are kept; None when none is. The very text where all are."""
    if not streams:
        return None
    node = _composed(text, what)
    data = _child(node, "data")
    lost = []
    if (default := _child(data, "stream")) is not None and _scalar(default) not in streams:
        lost.append((data, "stream"))
    for parent in (data, *(intent for _, intent in _pairs(_child(data, "intents")))):
        profiles = _child(parent, "profiles")
        lost += [(profiles, name) for name, _ in _pairs(profiles) if name not in streams]
        if parent is not data and (own := _child(parent, "stream")) is not None and _scalar(own) not in streams:
            lost.append((parent, "stream"))
    if not lost:
        return text
    for mapping, name in lost:
        mapping.value = [(key, value) for key, value in mapping.value if key.value != name]
    return _serialized(node)


def successor_of(text: str, *, what: str) -> tuple[str, str] | None:
    """The module and stream that an obsoletes document sends clients to, None when to none."""
    target = _child(_child(_composed(text, what), "data"), "obsoleted_by")
    return None if target is None else (_scalar(_child(target, "module")), _scalar(_child(target, "stream")))


def framed(text: str) -> bytes:
    """A document between its lines."""
    return f"---\n{text.rstrip()}\n...\n".encode()


def is_source(artifact: str) -> bool:
    """Whether an artifact is a source package."""
    return artifact.endswith(_SOURCES)


def _lines(blocks: Iterable[bytes], what: str) -> Iterator[str]:
    rest = b""
    try:
        for block in blocks:
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                yield line.decode().rstrip("\r")
            if len(rest) > _LONGEST_DOCUMENT:
                raise failures.MetadataTooLargeError(f"{what} holds a line without end.")
        yield rest.decode()
    except UnicodeDecodeError as exc:
        raise failures.MetadataInvalidError(f"{what} is no UTF-8 text: {exc}.") from exc


def _document(lines: list[str]) -> Iterator[str]:
    if any(line.strip() and not line.lstrip().startswith(("#", "%")) for line in lines):
        yield "\n".join(lines) + "\n"


def _composed(text: str, what: str) -> Any:
    try:
        _require_shallow(text, what)
        return yaml.compose(text, Loader=yaml.CSafeLoader)
    except (yaml.YAMLError, RecursionError) as exc:
        reason = str(exc).replace("\n", " ")
        raise failures.MetadataInvalidError(
            f"{what} is no YAML ({reason}), so which packages are modular is unknown.",
            hint="The last good generation stays. Mirror the source as it is, or ask those who run the upstream.",
        ) from exc


def _require_shallow(text: str, what: str) -> None:
    """The composer of libyaml calls itself for each level, in C: thousands end the process. Its parser does not."""
    indents = max(map(len, _INDENT.findall(text)), default=0)
    if text.count("[") + text.count("{") + indents <= _DEEPEST:  # no way to be deeper than that
        return
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise failures.MetadataTooLargeError(f"{what} is nested more than {_DEEPEST} levels deep.")


def _serialized(node: Any) -> str:
    text: str = yaml.serialize(node, Dumper=yaml.CSafeDumper, allow_unicode=True, width=100)
    return text


def _pairs(node: Any) -> list[tuple[str, Any]]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(key.value, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]


def _child(node: Any, name: str) -> Any:
    return next((value for key, value in _pairs(node) if key == name), None)


def _scalar(node: Any) -> str:
    return node.value if isinstance(node, yaml.ScalarNode) else ""


def _strings(node: Any) -> list[str]:
    return [one.value for one in node.value if isinstance(one, yaml.ScalarNode)] if _is_list(node) else []


def _keep_strings(node: Any, wanted: set[str]) -> None:
    if _is_list(node):
        node.value = [one for one in node.value if isinstance(one, yaml.ScalarNode) and one.value in wanted]


def _is_list(node: Any) -> bool:
    return isinstance(node, yaml.SequenceNode)


def _normal(artifact: str) -> str:
    """With its epoch, which old documents leave out when it is 0."""
    name, _, version = artifact.rpartition("-")
    head, _, middle = name.rpartition("-")
    return artifact if ":" in middle or not head else f"{head}-0:{middle}-{version}"


def _name_of(artifact: str) -> str:
    return artifact.rsplit("-", 2)[0]
