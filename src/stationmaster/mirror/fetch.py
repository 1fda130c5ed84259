"""One file from the upstream: resumed, and every byte digested while it streams.

A partial download is named by the digest it will have, so what another process left is taken up again: the digest at
the end decides, whoever wrote the beginning. Within one process ``If-Range`` keeps two versions from being joined.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from stationmaster.host import clock as clocks
from stationmaster.host import files as host_files
from stationmaster.mirror import exchange, failures, fileref, limits, retry

_BLOCK = 1 << 18
_WATCHED = 16 << 20
_WEB_PAGES = (b"<!doctype html", b"<html", b"<head")


@dataclasses.dataclass(frozen=True)
class Document:
    """A small file read whole; ``status`` 304 comes without a body."""

    status: int
    body: bytes
    headers: Mapping[str, str]


class Fetcher:
    """Fetches for one sync; used by several threads at once."""

    def __init__(
        self,
        files: host_files.Files,
        http: exchange.HttpDoor,
        clock: clocks.Clock,
        *,
        jitter: random.Random,
        stop: threading.Event,
        policy: exchange.FetchPolicy | None = None,
        shared: limits.Limits | None = None,
    ) -> None:
        self._files = files
        self._policy = policy or exchange.FetchPolicy()
        self._exchange = exchange.Exchange(http, clock, jitter=jitter, stop=stop, policy=self._policy, shared=shared)
        self.meter = self._exchange.meter

    def fetch_document(
        self, url: str, *, limit: int, headers: Mapping[str, str] | None = None, is_hurried: bool = False
    ) -> Document:
        """A document of at most ``limit`` bytes whose digest nobody promised; no redirect from https to http."""

        def attempt() -> Document:
            with self._exchange.answer(url, headers or {}, is_downgrade_refused=True) as answer:
                if answer.status == 304 and headers:
                    return Document(304, b"", answer.headers)
                if answer.status != 200:
                    raise exchange.PassingError(exchange.unavailable(url, answer.status), retry.Fault())
                body = bytearray()
                for piece in self._exchange.pieces(answer, url):
                    body += piece
                    if len(body) > limit:
                        raise failures.MetadataTooLargeError(
                            f"{url} is larger than {limit} bytes; a root document is not.",
                            hint="Check the address; nothing was changed.",
                        )
                exchange.refuse_short(answer, len(body), url)
                _refuse_web_page(bytes(body[:64]), url)
                return Document(answer.status, bytes(body), answer.headers)

        return self._exchange.with_retries(attempt, is_hurried=is_hurried)

    def fetch_file(self, urls: Sequence[str], ref: fileref.FileRef, part: Path, *, is_hurried: bool = False) -> str:
        """Bring the file to ``part``, checked for size and digest, and return its sha256.

        Of several addresses the next is tried when the one before has no such file, or another one by its name.
        """
        for url in urls[:-1]:
            try:
                return self._fetch_from(url, ref, part, is_hurried=is_hurried)
            except (failures.ChecksumError, failures.HtmlInsteadOfMetadataError):
                continue
            except failures.UnavailableError as exc:
                if not exc.is_absent:
                    raise
        return self._fetch_from(urls[-1], ref, part, is_hurried=is_hurried)

    def _fetch_from(self, url: str, ref: fileref.FileRef, part: Path, *, is_hurried: bool) -> str:
        validators: dict[str, str] = {}

        def attempt() -> str:
            return self._download(url, ref, part, validators)

        try:
            return self._exchange.with_retries(attempt, is_hurried=is_hurried)
        except failures.ChecksumError:
            if not validators.pop("resumed", ""):
                raise
        # What a former run left was not this file: once more, from the first byte.
        return self._exchange.with_retries(attempt, is_hurried=is_hurried)

    def _download(self, url: str, ref: fileref.FileRef, part: Path, validators: dict[str, str]) -> str:
        sums = _Sums(ref)
        offset = self._resume_point(ref, part, sums)
        if ref.size is not None and offset == ref.size and offset and sums.is_complete():
            return sums.sha256()
        headers = {}
        if offset:
            validators["resumed"] = "yes"
            headers["Range"] = f"bytes={offset}-"
            if "etag" in validators:
                headers["If-Range"] = validators["etag"]
        with self._exchange.answer(url, headers, is_downgrade_refused=False) as answer:
            if offset and not _continues(answer, offset):
                self._files.truncate(part)
                sums, offset = _Sums(ref), 0
                validators.pop("resumed", None)
            if not offset and answer.status != 200:
                raise exchange.PassingError(exchange.unavailable(url, answer.status), retry.Fault())
            etag = exchange.sendable(answer.headers.get("etag", ""))
            if etag and not etag.startswith("W/"):
                validators["etag"] = etag
            self._store(answer, url, part, sums)
            if ref.size is None or sums.size < ref.size:
                exchange.refuse_short(answer, sums.size - offset, url)
        return self._conclude(url, ref, part, sums)

    def _store(self, answer: exchange.Answer, url: str, part: Path, sums: _Sums) -> None:
        """Write pieces as they come, and no more of them than the file may have."""
        unwatched = 0
        with failures.translated_os_errors(part), self._files.open_append(part) as stream:
            for piece in self._exchange.pieces(answer, url):
                if sums.size == 0:
                    _refuse_web_page(bytes(piece[:64]), url)
                sums.add(piece)
                if sums.is_too_long():
                    return
                stream.write(piece)
                unwatched += len(piece)
                if unwatched > _WATCHED:
                    unwatched = 0
                    self._require_bounds(url, part, sums)
            self._files.begin_flush(stream)

    def _require_bounds(self, url: str, part: Path, sums: _Sums) -> None:
        """A file without a stated size is not without end; and whatever is stated, others have room left to write."""
        if sums.is_unstated and sums.size > self._policy.longest_unstated:
            raise failures.MetadataTooLargeError(
                f"{url} is larger than {self._policy.longest_unstated} bytes, and its metadata states no size.",
                hint="The last good generation stays. The upstream sends without end.",
            )
        available = self._files.space(part.parent).available_bytes
        if available < self._policy.reserve_bytes:
            raise failures.VolumeFullError(
                f"{part.parent} has {available} bytes left while {url} is coming; the reserve is "
                f"{self._policy.reserve_bytes}.",
                hint="Free some room, or run `mirror clean`.",
            )

    def _resume_point(self, ref: fileref.FileRef, part: Path, sums: _Sums) -> int:
        """How many bytes are there already; they are digested again."""
        try:
            with part.open("rb", buffering=0) as stream:
                while block := stream.read(_BLOCK):
                    sums.add(block)
        except FileNotFoundError:
            return 0
        if ref.size is not None and (sums.size > ref.size or (sums.size == ref.size and not sums.is_complete())):
            self._files.truncate(part)
            sums.reset()
        return sums.size

    def _conclude(self, url: str, ref: fileref.FileRef, part: Path, sums: _Sums) -> str:
        if ref.size is not None and sums.size != ref.size:
            self._files.remove(part)
            more = "or more " if sums.size > ref.size else ""
            raise failures.SizeMismatchError(
                f"{url} has {sums.size} bytes {more}where its metadata promises {ref.size}.",
                hint="The last good generation stays. The upstream is broken, or being changed.",
            )
        if not sums.is_complete():
            self._files.remove(part)
            raise failures.DigestMismatchError(
                f"{url} has {ref.checksum.algorithm} {sums.found()}, expected was {ref.checksum.value}.",
                hint="The last good generation stays. The upstream or something on the way altered the file.",
            )
        return sums.sha256()


class _Sums:
    """The running size and digests of one file: always sha256, which names it in the pool, and the promised one."""

    def __init__(self, ref: fileref.FileRef) -> None:
        self._ref = ref
        self.reset()

    def reset(self) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()
        algorithm = self._ref.checksum.algorithm
        self._promised = self._sha256 if algorithm == "sha256" else hashlib.new(algorithm)

    def add(self, piece: bytes | memoryview) -> None:
        self.size += len(piece)
        self._sha256.update(piece)
        if self._promised is not self._sha256:
            self._promised.update(piece)

    @property
    def is_unstated(self) -> bool:
        return self._ref.size is None

    def is_too_long(self) -> bool:
        return self._ref.size is not None and self.size > self._ref.size

    def found(self) -> str:
        return self._promised.hexdigest()

    def is_complete(self) -> bool:
        return self._promised.hexdigest() == self._ref.checksum.value

    def sha256(self) -> str:
        return self._sha256.hexdigest()


def _continues(answer: exchange.Answer, offset: int) -> bool:
    return answer.status == 206 and answer.headers.get("content-range", "").startswith(f"bytes {offset}-")


def _refuse_web_page(beginning: bytes, url: str) -> None:
    if beginning.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_WEB_PAGES):
        raise failures.HtmlInsteadOfMetadataError(
            f"{url} answered with a web page instead of the file.",
            hint="A captive portal, a login or an error page is in the way; open the address in a browser.",
        )
