"""What RPM and DEB upstreams have in common: a root that is trusted, metadata below it, content below that."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol
from urllib import parse

import msgspec

from stationmaster.mirror import dates, exchange, failures, fetch, fileref, mirrors
from stationmaster.model import errors

ROOT_LIMIT = 16 << 20  # Debian's largest is 1 MiB


class Validator(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What makes the next request for a document conditional; ``absent``: the upstream did not have it."""

    etag: str = ""
    last_modified: str = ""


@dataclasses.dataclass(frozen=True)
class Former:
    """The generation held now, as far as asking for its successor at ``base`` needs it."""

    base: str
    generation: str
    tree: Path
    validators: Mapping[str, Validator]


@dataclasses.dataclass(frozen=True)
class RootDocument:
    """A document at its path in the tree, byte for byte."""

    path: str
    content: bytes


@dataclasses.dataclass(frozen=True)
class Root:
    """A verified root: what it is made of, what it names directly, when the upstream made it, and where it was read."""

    base: str
    generation: str
    timestamp: int
    documents: tuple[RootDocument, ...]
    metadata: tuple[fileref.FileRef, ...]
    validators: Mapping[str, Validator]
    warnings: tuple[str, ...] = ()


class Upstream(Protocol):
    """One upstream repository, asked for its parts in this order."""

    format: str

    def fetch_root(self, base: str, former: Former | None, *, is_hurried: bool = False) -> Root:
        """The verified root at one base address; conditional when ``former`` is given."""
        ...

    def complete_root(self, root: Root) -> Root:
        """The root with companions that a no-op does not ask for."""
        ...

    def metadata_paths(self, ref: fileref.FileRef) -> tuple[str, ...]:
        """Where below a base address to fetch a metadata file, in order of preference; quoted."""
        ...

    def content_paths(self, path: str) -> tuple[str, ...]:
        """Where below a base address to fetch a package, in order of preference; quoted."""
        ...

    def content(self, root: Root, tree: Path) -> Iterator[fileref.FileRef]:
        """Everything that the staged metadata names, in its order; the same path may come more than once."""
        ...

    def late_warnings(self) -> tuple[str, ...]:
        """What the operator should know of the content; known when it was read."""
        ...


class Reach:
    """Brings files from whichever base address gives them.

    What lies elsewhere by ``xml:base`` is asked for there first; by a follower last: the one it copies from has it.
    """

    def __init__(
        self, repository: Upstream, fetcher: fetch.Fetcher, addresses: mirrors.Mirrors, *, is_follower: bool
    ) -> None:
        self._is_follower = is_follower
        self._upstream = repository
        self._fetcher = fetcher
        self._mirrors = addresses

    def fetch_metadata(self, ref: fileref.FileRef, part: Path) -> str:
        """Bring a metadata file to ``part``, checked; returns its sha256."""
        return self._fetch(self._upstream.metadata_paths(ref), ref, part)

    def fetch_content(self, ref: fileref.FileRef, part: Path) -> str:
        """Bring a package to ``part``, checked; returns its sha256."""
        return self._fetch(self._upstream.content_paths(ref.path), ref, part)

    def _fetch(self, paths: tuple[str, ...], ref: fileref.FileRef, part: Path) -> str:
        if not ref.base:
            return self._fetch_by(self._mirrors, paths, ref, part)
        elsewhere = mirrors.Mirrors((ref.base,))
        first, second = (self._mirrors, elsewhere) if self._is_follower else (elsewhere, self._mirrors)
        try:
            return self._fetch_by(first, paths, ref, part)
        except errors.UpstreamError as exc:
            try:
                return self._fetch_by(second, paths, ref, part)
            except errors.UpstreamError:
                raise exc from None

    def _fetch_by(self, addresses: mirrors.Mirrors, paths: tuple[str, ...], ref: fileref.FileRef, part: Path) -> str:
        def ask(base: str, is_hurried: bool) -> str:  # noqa: FBT001 - the shape that ``first`` wants
            urls = [join_address(base, path) for path in paths]
            return self._fetcher.fetch_file(urls, ref, part, is_hurried=is_hurried)

        return addresses.first(ask, is_optional=ref.is_optional)


class RootReader:
    """Fetches root documents, conditional where that is safe."""

    def __init__(
        self, fetcher: fetch.Fetcher, base: str, former: Former | None = None, *, is_hurried: bool = False
    ) -> None:
        self._fetcher = fetcher
        self._is_hurried = is_hurried
        self.base = base
        self._former = former
        self._absence: failures.UnavailableError | None = None
        self.validators: dict[str, Validator] = {}

    def read(self, path: str) -> RootDocument | None:
        """The document, None when the upstream has none."""
        known = self._former.validators.get(path) if self._former else None
        held = self._held(path) if known else None
        self._absence = None
        try:
            answer = self._fetcher.fetch_document(
                self.base + fileref.quoted_path(path),
                limit=ROOT_LIMIT,
                headers=_condition(known) if known and held is not None else {},
                is_hurried=self._is_hurried,
            )
        except failures.UnavailableError as exc:
            if not exc.is_absent:
                raise
            self._absence = exc
            return None
        if answer.status == 304 and known is not None and held is not None:
            self.validators[path] = known
            return RootDocument(path, held)
        if (validator := strong_validator(answer.headers)) is not None:
            self.validators[path] = validator
        return RootDocument(path, answer.body)

    def require(self, path: str) -> RootDocument:
        """The document, or an error that says the repository is not there."""
        document = self.read(path)
        if document is None and self._absence is not None and self._absence.status == 403:
            raise self._absence
        if document is None:
            raise failures.UnavailableError(
                f"{self.base}{path} does not exist: there is no such repository at this address.",
                hint="Check the address, and the suite for a DEB archive.",
                status=404,
            )
        return document

    def held(self, path: str) -> bytes | None:
        """What the held generation has at the path."""
        return self._held(path) if self._former else None

    def _held(self, path: str) -> bytes | None:
        assert self._former is not None  # noqa: S101 - for the type checker
        try:
            return (self._former.tree / path).read_bytes()
        except OSError:
            return None


def strong_validator(headers: Mapping[str, str]) -> Validator | None:
    """What of an answer can prove "unchanged" later.

    Time and size of a file that was changed within the last seconds prove nothing, since it may change again within
    the same second (RFC 9110 section 8.8.2.2); nginx makes its ETag of these two.
    """
    etag, modified = exchange.sendable(headers.get("etag", "")), headers.get("last-modified", "")
    if not modified:
        return Validator(etag=etag) if etag and not etag.startswith("W/") else None
    made, sent = dates.parse_mail_date(modified), dates.parse_mail_date(headers.get("date", ""))
    if made is None or sent is None or not exchange.sendable(modified):
        return None
    return Validator(etag=etag, last_modified=modified) if (sent - made).total_seconds() >= 3 else None


def generation_id(documents: Iterable[RootDocument], *, selection: str = "") -> str:
    """The name of a generation: a digest of its root documents, so that equal upstream states get equal names.

    ``selection`` is what of a DEB archive is mirrored: the same root with other components is another generation.
    """
    digest = hashlib.sha256(selection.encode())
    for document in documents:
        digest.update(document.content)
    return digest.hexdigest()[:32]


def join_address(base: str, quoted: str) -> str:
    """A quoted path below a base address; nothing in the path can lead elsewhere."""
    return _plain(base) + quoted


@functools.lru_cache(64)
def _plain(base: str) -> str:
    return parse.urlsplit(base)._replace(query="", fragment="").geturl()


def _condition(validator: Validator) -> dict[str, str]:
    headers = {}
    if validator.etag:
        headers["If-None-Match"] = validator.etag
    if validator.last_modified:
        headers["If-Modified-Since"] = validator.last_modified
    return headers
