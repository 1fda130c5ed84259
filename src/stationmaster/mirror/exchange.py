"""Requests to the upstream: redirects, retries, pace and stopping; what the bytes should be is decided by ``fetch``."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar
from urllib import parse

from stationmaster.host import clock as clocks
from stationmaster.host import http as host_http
from stationmaster.mirror import failures, limits, meter, retry, source
from stationmaster.model import errors

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MAX_REDIRECTS = 8
_BLOCK = 1 << 18
_LONGEST_ADDRESS = 16_000
_HINTS = {
    401: "The upstream wants credentials, or other ones.",
    403: "Check the address. The upstream may want credentials, or a client certificate.",
    404: "Check the address.",
    407: "The forward proxy wants credentials.",
}
_Result = TypeVar("_Result")


class Answer(Protocol):
    """What the engine needs of an answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]

    def arriving(self, size: int) -> Iterator[bytes | memoryview]:
        """The body as it comes, each piece valid until the next; errors.PeerError when the connection breaks."""
        ...


class HttpDoor(Protocol):
    """What the engine needs of ``host.http.Http``."""

    def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], connect_timeout: float, read_timeout: float
    ) -> contextlib.AbstractContextManager[Answer]:
        """One request; errors.PeerError when no answer came."""
        ...


@dataclasses.dataclass(frozen=True)
class FetchPolicy:
    """Pace and patience of transfers; bytes/s and seconds."""

    retry: retry.RetryPolicy = dataclasses.field(default_factory=retry.RetryPolicy)
    floor: int = 1000
    window: float = 30.0
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    longest_unstated: int = 2 << 30  # of a file whose metadata states no size
    reserve_bytes: int = 64 << 20  # a download that takes the volume below ends


class PassingError(Exception):
    """A fault that the retry policy decides about; carries the error to show when it gives up."""

    def __init__(self, error: errors.StationmasterError, fault: retry.Fault) -> None:
        super().__init__(str(error))
        self.error = error
        self.fault = fault


class Exchange:
    """The requests of one sync, from several threads."""

    def __init__(
        self,
        http: HttpDoor,
        clock: clocks.Clock,
        *,
        jitter: random.Random,
        stop: threading.Event,
        policy: FetchPolicy,
        shared: limits.Limits | None = None,
    ) -> None:
        self._limits = shared or limits.Limits(clock)
        self._http = http
        self._clock = clock
        self._jitter = jitter
        self._stop = stop
        self._policy = policy
        self.meter = meter.Meter()

    def pieces(self, answer: Answer, url: str) -> Iterator[bytes | memoryview]:
        """The body as it comes; a broken or trickling connection is a PassingError, a stop ends it."""
        pace = meter.Pace(self._clock, floor=self._policy.floor, window=self._policy.window)
        received = 0
        try:
            for piece in answer.arriving(self._limits.piece_size(_BLOCK)):
                received += len(piece)
                yield piece
                if self._stop.is_set():
                    raise failures.StoppedError("The sync was stopped.", hint="The next run resumes where it ended.")
                pace.excuse(self._limits.pay(len(piece), url, self._stop))
                pace.add(len(piece), address=url)
        except errors.PeerError as exc:
            raise PassingError(failures.UnavailableError(f"{url}: {exc.message}"), retry.Fault()) from exc
        except failures.TooSlowError as exc:
            raise PassingError(exc, retry.Fault()) from exc
        finally:
            self.meter.add_bytes(received)

    @contextlib.contextmanager
    def answer(self, url: str, headers: Mapping[str, str], *, is_downgrade_refused: bool) -> Iterator[Answer]:
        """The answer behind all redirects: 200, 206, 304 or 416; any other status is an error."""
        address, headers = url, {"Accept-Encoding": "identity", **headers}
        for _ in range(_MAX_REDIRECTS + 1):
            if self._stop.is_set():
                raise failures.StoppedError("The sync was stopped.", hint="The next run resumes where it ended.")
            try:
                with self._limits.connection(address, self._stop), self._ask(address, headers) as answer:
                    if answer.status not in _REDIRECTS:
                        if answer.status not in (200, 206, 304, 416):
                            raise self._refusal(address, answer)
                        yield answer
                        return
                    address = redirect_target(address, answer.headers.get("location"), is_downgrade_refused)
            except errors.PeerError as exc:  # of the request alone: ``pieces`` translates those of the body
                raise _unreached(address, exc) from exc
        raise failures.RedirectRefusedError(f"{url} is redirected more than {_MAX_REDIRECTS} times.")

    def _ask(self, address: str, headers: Mapping[str, str]) -> contextlib.AbstractContextManager[Answer]:
        self.meter.add_request()
        policy = self._policy
        return self._http.stream(
            "GET", address, headers=headers, connect_timeout=policy.connect_timeout, read_timeout=policy.read_timeout
        )

    def _refusal(self, address: str, answer: Answer) -> Exception:
        error = unavailable(address, answer.status)
        wait = retry.parse_retry_after(answer.headers.get("retry-after"), now=self._clock.now().timestamp())
        fault = retry.Fault(answer.status, wait)
        return PassingError(error, fault) if retry.is_passing(fault) else error

    def with_retries(self, attempt: Callable[[], _Result], *, is_hurried: bool = False) -> _Result:
        """The result of ``attempt``, tried as often as the policy says; then the last failure.

        ``is_hurried``: another mirror can be asked instead.
        """
        policy = retry.hurried(self._policy.retry) if is_hurried else self._policy.retry
        tries = 0
        while True:
            tries += 1
            try:
                return attempt()
            except PassingError as exc:
                delay = retry.decide_retry(tries, exc.fault, policy, jitter=self._jitter.random())
                if delay is None:
                    raise exc.error from exc
                self._wait(delay)

    def _wait(self, seconds: float) -> None:
        """Sleep in short steps, so that a stop is heard."""
        end = self._clock.monotonic() + seconds
        while (left := end - self._clock.monotonic()) > 0 and not self._stop.is_set():
            self._clock.sleep(min(left, 0.1))


def redirect_target(address: str, location: str | None, is_downgrade_refused: bool) -> str:  # noqa: FBT001
    """Where a redirect leads; only http and https, and not from https to http where nothing else proves the bytes."""
    try:
        target = source.without_userinfo(parse.urljoin(address, location or ""))
        scheme = parse.urlsplit(target).scheme
    except ValueError:  # no address at all: a bracket too many
        target = scheme = ""
    if not location or scheme not in ("http", "https") or not sendable(target, longest=_LONGEST_ADDRESS):
        shown = source.without_userinfo(location or "")[:200]
        raise failures.RedirectRefusedError(
            f"{address} redirects to {shown!r}; only http and https addresses are followed."
        )
    if is_downgrade_refused and scheme == "http" and address.startswith("https:"):
        raise failures.RedirectRefusedError(f"{address} redirects from https to {target}.")
    return target


def sendable(value: str, *, longest: int = 500) -> str:
    """What we have from a server and send again, as it is; empty when it cannot be sent."""
    return value if value.isascii() and value.isprintable() and len(value) <= longest else ""


def refuse_short(answer: Answer, received: int, url: str) -> None:
    """A connection that closed early ends the stream without any error of its own."""
    stated = answer.headers.get("content-length", "")
    if stated.isdecimal() and len(stated) < 19 and received < int(stated):
        raise PassingError(
            failures.UnavailableError(f"{url}: the connection ended after {received} of {stated} bytes."), retry.Fault()
        )


def _unreached(address: str, exc: errors.PeerError) -> Exception:
    """The error for no answer: worth another try, unless the server's certificate is not believed."""
    message = f"{address}: {exc.message}"
    if exc.code == host_http.CERTIFICATE_REFUSED:
        return failures.UnavailableError(message, hint="Check the address; an upstream's own CA can be named.")
    return PassingError(failures.UnavailableError(message, hint="Check address, network and proxy."), retry.Fault())


def unavailable(address: str, status: int) -> failures.UnavailableError:
    """The error for an answer that is no file."""
    return failures.UnavailableError(
        f"{address} answered {status}.",
        hint=_HINTS.get(status, "Check the upstream."),
        status=status,
    )
