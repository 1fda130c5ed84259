"""What nginx did not find (ha-protocol R11): proved absent, filled from a peer, or asked for again.

Below a pinned tree the generation's manifest decides; below the unpinned one those of all that are kept (``unpinned``).

    404    a manifest that is known here proves that the path is not in the generation, and the answer says why; or the
           generation itself was dropped (``miss_rules``)
    200    a path of a manifest that is known here, from a peer, checked: a small file before its first byte, a large
           one while it streams, its last block held back until the digest is right; else the connection is broken
    503    otherwise, for a retry, which a balancer takes to another station

A request that came from a peer goes no further. Nothing is written, and only few are filled at a time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

import msgspec

from stationmaster.host import clock as clocks
from stationmaster.host import local_server
from stationmaster.mirror import catalog, exchange, failures, lookup, manifest, volume
from stationmaster.mirror.generate import leftout
from stationmaster.model import errors
from stationmaster.station import board as boards
from stationmaster.station import lost_files, miss_rules, observe, peers, unpinned

_log = logging.getLogger(__name__)
FILL, LACK, UNION = "/fill/", "/lack/", "/union/"
_SMALL_BYTES = 4 << 20
_BLOCK_BYTES = 1 << 18
_MOST_AT_ONCE = 8
_CONNECT_SECONDS = 0.3
_READ_SECONDS = 1.5
_WORDS = {
    miss_rules.Verdict.LACKING: (503, "Lacking", "This station lacks the file as well."),
    miss_rules.Verdict.NOT_HERE: (503, "NotHere", "This station does not hold that generation now."),
    miss_rules.Verdict.DROPPED: (
        404,
        "Dropped",
        "That generation is no longer kept here, or never was: read the list of the source anew.",
    ),
}
_AGAIN = {"Retry-After": "1", "Cache-Control": "no-store"}


class Said(msgspec.Struct, frozen=True, rename="camel"):
    """The body of an answer without the file."""

    code: str
    message: str


def parse_asked(target: str) -> miss_rules.Asked | None:
    """What nginx hands on: ``/fill/<source>/<generation>/<path>``, a peer's ``/lack/…``; ``/union/<source>/<path>``."""
    plain = target.partition("?")[0]
    if plain.startswith(UNION):
        source_id, _, path = plain.removeprefix(UNION).partition("/")
        return miss_rules.Asked(source_id, "", urllib.parse.unquote(path), is_hop=False) if source_id and path else None
    is_hop = target.startswith(LACK)
    source_id, _, rest = plain.removeprefix(LACK if is_hop else FILL).partition("/")
    generation, _, path = rest.partition("/")
    if not (source_id and generation and path):
        return None
    return miss_rules.Asked(source_id, generation, urllib.parse.unquote(path), is_hop)


class _Held:
    """A body that takes one of the places until it is closed, sent or not."""

    def __init__(self, pieces: Iterator[bytes], places: threading.BoundedSemaphore) -> None:
        self._pieces = pieces
        self._places: threading.BoundedSemaphore | None = places

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Let another one have the place."""
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()
        if self._places is not None:
            self._places.release()
            self._places = None


class Misses:
    """Answers for what is not there."""

    def __init__(
        self,
        board: boards.Board,
        open_volume: Callable[[], volume.Volume],
        http: exchange.HttpDoor,
        clock: clocks.Clock,
    ) -> None:
        self._board = board
        self._open_volume = open_volume
        self._http = http
        self._clock = clock
        self._places = threading.BoundedSemaphore(_MOST_AT_ONCE)

    def answer(self, target: str) -> local_server.LocalAnswer:
        """One miss. Whoever finds all places taken is asked to come again, by a balancer's or its own retry."""
        asked = parse_asked(target)
        if asked is None:
            return _said(404, "NotFound", "There is no such path.")
        if not self._places.acquire(blocking=False):
            return _said(503, "Busy", "Too many files are being fetched from peers at the moment.")
        try:
            answer = self._judged(asked)
        except (errors.StationmasterError, OSError) as exc:
            answer = _said(503, "Unknown", f"What this station holds cannot be told now: {exc}")
        except BaseException:
            self._places.release()
            raise
        if isinstance(answer.body, bytes):
            self._places.release()
            return answer
        return answer._replace(body=_Held(answer.body, self._places))

    def _judged(self, asked: miss_rules.Asked) -> local_server.LocalAnswer:
        found = self._opened()
        if not asked.generation:
            return self._united(found, asked)
        is_here = catalog.find_header(found, asked.source_id, asked.generation) is not None
        manifest_path = found.manifest(asked.source_id, asked.generation)
        entry = lookup.find_entry(manifest_path, asked.path) if is_here else None
        verdict = miss_rules.judge(
            self._board.read(), asked, self._clock.monotonic(), has_manifest=is_here, has_path=entry is not None
        )
        if entry is not None:
            self._suspect(asked.source_id, asked.generation)
        if entry is not None and verdict is miss_rules.Verdict.FILL:
            return self._filled(asked, entry)
        if verdict is miss_rules.Verdict.ABSENT:
            return _said(404, *why_absent(found, asked))
        return _said(*_WORDS[verdict])

    def _opened(self) -> volume.Volume:
        """The volume. One that is gone makes this station unready from now on, not from the next look (I8)."""
        try:
            return self._open_volume()
        except errors.StationmasterError as exc:
            problem = observe.problem_of(exc)
            _log.error("A miss found no volume.", extra={"code": problem.code, "error": problem.message})
            self._board.change(lambda present: miss_rules.without_volume(present, problem))
            raise

    def _united(self, found: volume.Volume, asked: miss_rules.Asked) -> local_server.LocalAnswer:
        shown = self._board.read().shown_of(asked.source_id)
        place = unpinned.find_place(found, asked.source_id, asked.path, shown.generation) if shown else None
        if place is None:
            return _said(404, "NeverExisted", f"{asked.path} is nothing that a client of the unpinned tree may have.")
        if place.is_here:
            return local_server.LocalAnswer(200, {"X-Accel-Redirect": place.internal_path}, b"")
        self._suspect(asked.source_id, place.generation)
        return self._filled(dataclasses.replace(asked, generation=place.generation), place.entry)

    def _suspect(self, source_id: str, generation: str) -> None:
        """What nginx did not find may be lost, and is then mended beside this."""
        self._board.change(lambda present: lost_files.suspected(present, source_id, generation))

    def _filled(self, asked: miss_rules.Asked, entry: manifest.Entry) -> local_server.LocalAnswer:
        desired = self._board.read().desired
        holders = tuple(peer for peer in desired.peers if peer.addresses) if desired else ()
        quoted = urllib.parse.quote(asked.path)
        for place in peers.places_of(holders, asked.source_id, asked.generation):
            pieces = self._pieces(place.url + quoted, entry)
            try:
                if entry.s <= _SMALL_BYTES:
                    return _file(entry, b"".join(pieces))
                first = next(pieces)
            except (errors.StationmasterError, StopIteration) as exc:
                _log.info("A peer could not fill a miss.", extra={"peer": place.name, "error": str(exc)})
                continue
            return _file(entry, _chained(first, pieces))
        return _said(503, "NotFilled", "The file is missing here, and no peer could give it at the moment.")

    def _pieces(self, url: str, entry: manifest.Entry) -> Iterator[bytes]:
        """The file in blocks, the last one only when the digest of all is right; PeerError or DigestMismatchError."""
        digest, size, held = hashlib.sha256(), 0, b""
        with self._http.stream(
            "GET",
            url,
            headers={"Accept-Encoding": "identity"},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
        ) as answer:
            if answer.status != 200:
                raise errors.PeerError(f"{url} answered {answer.status}.")
            for piece in answer.arriving(_BLOCK_BYTES):
                size += len(piece)
                if size > entry.s:
                    _refuse(url)
                digest.update(piece)
                if held:
                    yield held
                held = bytes(piece)
        if size != entry.s or digest.hexdigest() != entry.d:
            _refuse(url)
        yield held


def why_absent(found: volume.Volume, asked: miss_rules.Asked) -> tuple[str, str]:
    """Code and words for a path that is not in the generation: a filter left it out, another one has it, or none."""
    left_out = leftout.find_filter(found, asked.source_id, asked.generation, asked.path)
    if left_out is not None:
        origin, why = left_out
        return "Filtered", f"{asked.path} is in {origin.name}, and is left out of this source by {why}."
    for one in catalog.list_generations(found, asked.source_id):
        if one.generation == asked.generation:
            continue
        try:
            entry = lookup.find_entry(found.manifest(asked.source_id, one.generation), asked.path)
        except (failures.ManifestDamagedError, OSError):
            continue
        if entry is not None:
            return "Replaced", f"{asked.path} is not in this generation; generation {one.generation} has it."
    return "NeverExisted", f"{asked.path} is in no generation of this source that is kept here."


def _said(status: int, code: str, message: str) -> local_server.LocalAnswer:
    headers: Mapping[str, str] = {"Content-Type": "application/json", "X-Stationmaster-Miss": code}
    if status == 503:
        headers = {**headers, **_AGAIN}
    return local_server.LocalAnswer(status, headers, msgspec.json.encode(Said(code, message)) + b"\n")


def _file(entry: manifest.Entry, body: bytes | Iterator[bytes]) -> local_server.LocalAnswer:
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(entry.s),
        "X-Stationmaster-Miss": "Filled",
    }
    return local_server.LocalAnswer(200, headers, body)


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _refuse(url: str) -> NoReturn:
    raise failures.DigestMismatchError(f"{url} has other bytes than the manifest says.", hint="Verify that station.")
