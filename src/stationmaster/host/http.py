"""HTTP towards others: pooled connections, one trust store, an optional forward proxy. Redirects are the caller's.

A host with several addresses is asked by another one after a failure (`address_book`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from stationmaster.host import http_message, http_wire, http_words
from stationmaster.model import errors

if TYPE_CHECKING:
    import ssl

    import urllib3

    from stationmaster.host import address_book


UNABLE = frozenset({502, 503, 504})  # answers of somebody for whom another can stand in
CERTIFICATE_REFUSED = "CertificateRefused"  # code of a PeerError: asking again would bring the same certificate


@dataclasses.dataclass(frozen=True)
class Response:
    """An answer read whole; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StreamedAnswer(Protocol):
    """An answer whose body is read piece by piece; header names in lower case."""

    status: int
    headers: Mapping[str, str]

    def pieces(self, size: int = 1 << 18) -> Iterator[bytes]:
        """The body as it comes over the wire, undecoded; errors.PeerError when the connection breaks."""
        ...

    def arriving(self, size: int = 1 << 18) -> Iterator[bytes | memoryview]:
        """Like ``pieces``, but handed on as soon as it comes; a piece is valid only until the next."""
        ...


class StreamedResponse:
    """An answer of the general client."""

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    def pieces(self, size: int = 1 << 18) -> Iterator[bytes]:
        """The body as it comes over the wire, undecoded; raises errors.PeerError when the connection breaks."""
        try:
            yield from self._response.stream(size, decode_content=False)
        except http_words.troubles() as exc:
            raise errors.PeerError(f"The connection broke while reading: {exc}.") from exc

    def arriving(self, size: int = 1 << 18) -> Iterator[bytes | memoryview]:
        """Like ``pieces``, but each piece is handed on as soon as it comes, so that a trickle is noticed."""
        try:
            while piece := self._response.read1(size, decode_content=False):
                yield piece
        except http_words.troubles() as exc:
            raise errors.PeerError(f"The connection broke while reading: {exc}.") from exc


class Http:
    """One pool of connections. Not tied to a host; safe to use from several threads."""

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        client_certificate: tuple[Path, Path] | None = None,
        proxy_url: str | None = None,
        connections_per_host: int = 8,
        is_tls_verified: bool = True,
        book: address_book.AddressBook | None = None,
    ) -> None:
        self._options: dict[str, Any] = {"maxsize": connections_per_host, "block": False, "num_pools": 64}
        self._proxy_url = proxy_url
        self._ca_file = ca_file
        self._client_certificate = client_certificate
        self._is_tls_verified = is_tls_verified
        self._book = book
        self._lock = threading.Lock()
        self._pools: dict[bool, urllib3.PoolManager] = {}
        self._wire = http_wire.Wire(self._tls_context)
        self._context: ssl.SSLContext | None = None
        if ca_file or client_certificate:
            self._pool_for("https:")  # a file that cannot be read is told now, not at the first request

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float = 30.0,
    ) -> Response:
        """One request, no retry, no redirect. Raises errors.PeerError when no answer came."""
        import urllib3  # here and below: a mirror that asks directly does without, and starts sooner

        try:
            answer = self._pool_for(url).request(
                method,
                url,
                headers=dict(headers or {}),
                body=body,
                timeout=urllib3.Timeout(connect=min(timeout, 10.0), read=timeout),
                retries=False,
                redirect=False,
            )
        except http_words.troubles() as exc:
            self._leave(url)
            raise errors.PeerError(f"No answer from {http_words.origin(url)}: {http_words.reason(exc)}.") from exc
        if answer.status in UNABLE:
            self._leave(url)
        return Response(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.data)

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        connect_timeout: float = 10.0,
        read_timeout: float = 30.0,
    ) -> contextlib.AbstractContextManager[StreamedAnswer]:
        """One request whose body is left to the caller; the connection goes back to the pool when it was read whole.

        It may be asked here already, as ``open`` does: enter it at once. errors.PeerError when no answer came.
        """
        if method == "GET" and not self._proxy_url:
            return self._stream_wire(url, headers or {}, connect_timeout, read_timeout)
        return self._stream_pooled(method, url, headers or {}, connect_timeout, read_timeout)

    def _stream_wire(
        self, url: str, headers: Mapping[str, str], connect_timeout: float, read_timeout: float
    ) -> http_message.WireAnswer:
        try:
            return self._wire.get(url, headers=headers, connect_timeout=connect_timeout, read_timeout=read_timeout)
        except http_message.BrokenError as exc:
            code = CERTIFICATE_REFUSED if type(exc.__cause__).__name__ == "SSLCertVerificationError" else None
            raise errors.PeerError(f"No answer from {http_words.origin(url)}: {exc}.", code=code) from exc

    @contextlib.contextmanager
    def _stream_pooled(
        self, method: str, url: str, headers: Mapping[str, str], connect_timeout: float, read_timeout: float
    ) -> Iterator[StreamedAnswer]:
        import urllib3

        try:
            answer = self._pool_for(url).request(
                method,
                url,
                headers=dict(headers or {}),
                timeout=urllib3.Timeout(connect=connect_timeout, read=read_timeout),
                retries=False,
                redirect=False,
                preload_content=False,
            )
        except http_words.troubles() as exc:
            raise errors.PeerError(f"No answer from {http_words.origin(url)}: {http_words.reason(exc)}.") from exc
        try:
            yield StreamedResponse(answer)
        finally:
            if answer.length_remaining in (0, None) and answer.closed:
                answer.release_conn()
            else:
                answer.close()
                answer.release_conn()

    def has_other_address(self, url: str) -> bool:
        """Whether the host (the proxy, where there is one) has failed by one address and another is left to try."""
        return self._book is not None and self._book.has_other(http_words.host(self._proxy_url or url))

    def answering_address(self, url: str) -> str:
        """By which address the host (or the proxy) answered last; empty when it did not."""
        return self._book.answering(http_words.host(self._proxy_url or url)) if self._book is not None else ""

    def _leave(self, url: str) -> None:
        """Idle connections lead to whom just failed, too."""
        if self._book is not None and self._book.has_several(http_words.host(self._proxy_url or url)):
            for pool in list(self._pools.values()):
                pool.clear()

    def close(self) -> None:
        """Close idle connections."""
        self._wire.close()
        for pool in self._pools.values():
            pool.clear()

    def _pool_for(self, url: str) -> urllib3.PoolManager:
        """The pool for an address; the trust store is read only when TLS is spoken (it takes 30 ms)."""
        import urllib3

        from stationmaster.host import address_book, dialing

        is_secure = url.lower().startswith("https:") or (self._proxy_url or "").lower().startswith("https:")
        with self._lock:
            self._book = self._book or address_book.AddressBook()
            if is_secure not in self._pools:
                context = self._secure_context() if is_secure else None
                if self._proxy_url:
                    pool: urllib3.PoolManager = urllib3.ProxyManager(
                        self._proxy_url, ssl_context=context, **self._options
                    )
                else:
                    pool = urllib3.PoolManager(ssl_context=context, **self._options)
                pool.pool_classes_by_scheme = dialing.pool_classes(self._book)
                self._pools[is_secure] = pool
            return self._pools[is_secure]

    def _tls_context(self) -> ssl.SSLContext:
        with self._lock:
            return self._secure_context()

    def _secure_context(self) -> ssl.SSLContext:
        """The one context, made at its first use under the lock."""
        if self._context is None:
            self._context = self._make_context()
        return self._context

    def _make_context(self) -> ssl.SSLContext:
        import ssl

        context = ssl.create_default_context(cafile=str(self._ca_file) if self._ca_file else None)
        if not self._is_tls_verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self._client_certificate:
            context.load_cert_chain(*(str(path) for path in self._client_certificate))
        return context
