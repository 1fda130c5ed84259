"""Which generation of each source the agent works with: the one a job was dispatched for, else what the list names.

A job's generation may have been dropped when the instance comes back after days; then the visible one is used, and the
job's log says so (ha-protocol R3). Dropped is what the mirror answers 404 for; any other refusal is no answer, and a
source that a job was dispatched for and that gives none fails the job before it begins (I14): it never runs on a part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from stationmaster.host import http
from stationmaster.model import errors, groups
from stationmaster.model.protocol import ClientAddress, InstanceSource, Problem, SourceFormat, Visible

# The code of a problem that stands in a job's way: a source that it was dispatched for cannot be had.
REQUIRED = "GenerationUnavailable"
_TIMEOUT = 15.0


@dataclasses.dataclass(frozen=True)
class Pins:
    """Address of the generation per source; what could not be found, and remarks for a log."""

    urls: Mapping[str, str]
    problems: tuple[Problem, ...] = ()
    remarks: tuple[str, ...] = ()


def root_documents(source: InstanceSource) -> tuple[str, ...]:
    """The documents a client asks for first, of which one must be there, relative to a generation's tree."""
    if source.format is SourceFormat.RPM:
        return ("repodata/repomd.xml",)
    suite = source.suites[0] if source.suites else "./"
    directory = suite.removeprefix("./") if suite.endswith("/") else f"dists/{suite}/"
    return (f"{directory}InRelease", f"{directory}Release")


def parse_list(text: str) -> str | None:
    """The one address in a list, None when the text is something else (an error page, an empty file)."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) == 1 and lines[0].startswith(("http://", "https://")):
        return lines[0].rstrip("/") + "/"
    return None


def ask_list(connection: http.Http, url: str) -> tuple[str | None, str]:
    """What a list names, and why it names nothing. Raises errors.PeerError when nobody answers."""
    answer = connection.request("GET", url, timeout=_TIMEOUT)
    if answer.status != 200:
        return None, f"{url} answered {answer.status}"
    found = parse_list(answer.body.decode("utf-8", "replace"))
    return found, "" if found else f"{url} is no list of one address"


def is_served(connection: http.Http, tree: str, source: InstanceSource) -> bool:
    """Whether the root document of a generation is there; PeerError when that cannot be told now."""
    for name in root_documents(source):
        status = connection.request("HEAD", tree + name, timeout=_TIMEOUT).status
        if status == 200:
            return True
        if status != 404:
            raise errors.PeerError(f"{tree}{name} answered {status}")
    return False


def find_pins(
    connection: http.Http, address: ClientAddress, sources: Iterable[InstanceSource], wanted: Iterable[Visible] = ()
) -> Pins:
    """The pin of every enabled source; a source that nothing is visible of has none."""
    numbers = {one.source_id: one for one in wanted}
    urls: dict[str, str] = {}
    problems: list[Problem] = []
    remarks: list[str] = []
    for source in sources:
        if not source.is_enabled:
            continue
        name = source.display_name or source.repo_id
        try:
            chosen = numbers.get(source.source_id)
            if chosen is not None:
                tree = groups.pinned_url(address, source.source_id, chosen.generation, is_tls=None)
                if is_served(connection, tree, source):
                    urls[source.source_id] = tree
                    continue
                remarks.append(f"{name}: generation {chosen.generation} is no longer kept; the visible one is used.")
            found, why = ask_list(connection, groups.list_url(address, source.source_id))
        except errors.PeerError as exc:
            code = REQUIRED if source.source_id in numbers else "MirrorUnreachable"
            problems.append(Problem(code, f"{name}: {exc.message}"))
            continue
        if found is None:
            code = REQUIRED if source.source_id in numbers else "SourceNotServed"
            problems.append(Problem(code, f"{name}: {why}; nothing of it is visible yet, or it is not mirrored."))
        else:
            urls[source.source_id] = found
    return Pins(urls, tuple(problems), tuple(remarks))
