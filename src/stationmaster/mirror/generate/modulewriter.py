"""Module metadata for a choice: streams that are kept, defaults, translations and obsoletes that follow them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stationmaster.mirror.generate import modules, rpminput, selection

_FOLLOWERS = ("modulemd-translations", "modulemd-obsoletes")


class ModuleWriter:
    """Yields what is kept of the module documents of all inputs; ``warnings`` hold afterwards."""

    def __init__(self, documents: rpminput.Documents, chosen: selection.Selection, identities: frozenset[str]) -> None:
        self._documents = documents.found
        self._identities = identities
        self._chosen = chosen
        self._streams: dict[str, set[str]] = {}
        for one in documents.streams:
            if one.number in chosen.streams:
                self._streams.setdefault(one.module, set()).add(one.stream)
        self.warnings: list[str] = []

    def documents(self, inputs: Iterable[rpminput.RpmInput]) -> Iterator[bytes]:
        """The kept documents between their lines, in the order of the inputs; what two inputs share comes once."""
        seen: set[bytes] = set()
        defaults: set[str] = set()
        left_out: set[str] = set()
        for number, what, text in rpminput.numbered_documents(inputs):
            document = self._documents[number]
            if document.kind == "modulemd-defaults":
                if document.module in defaults:
                    continue  # clients complain of two; the first input's count
                defaults.add(document.module)
            found = self._restricted(document, text, what, left_out)
            if found is not None and (whole := modules.framed(found)) not in seen:
                seen.add(whole)
                yield whole
        self.warnings += [f"Module documents of the kind {kind!r} are left out." for kind in sorted(left_out)]

    def _restricted(self, document: modules.Document, text: str, what: str, left_out: set[str]) -> str | None:
        if document.stream is not None:
            return self._stream(document.stream, text, what)
        streams = self._streams.get(document.module, set())
        if document.kind == "modulemd-defaults":
            return modules.restrict_defaults(text, frozenset(streams), what=what)
        if document.kind not in _FOLLOWERS:
            left_out.add(document.kind)
            return None
        return text if document.stream_name in streams and self._leads_somewhere(document, text, what) else None

    def _stream(self, stream: selection.Stream, text: str, what: str) -> str | None:
        if stream.number not in self._chosen.streams:
            return None
        if all(one in self._identities for one in stream.artifacts if not modules.is_source(one)):
            return text
        return modules.restrict_stream(text, self._identities.__contains__, what=what)

    def _leads_somewhere(self, document: modules.Document, text: str, what: str) -> bool:
        target = modules.successor_of(text, what=what) if document.kind == "modulemd-obsoletes" else None
        return target is None or target[1] in self._streams.get(target[0], set())
