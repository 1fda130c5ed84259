"""What went wrong with a request, in words that may be shown: no path, no credentials, the innermost cause."""

from __future__ import annotations

from urllib import parse


def origin(url: str) -> str:
    """Scheme, host and port, without path or credentials: what may be shown and logged."""
    parsed = parse.urlsplit(url)
    return f"{parsed.scheme}://{parsed.netloc.rpartition('@')[2]}"


def host(url: str) -> str:
    """The host that an address names."""
    return parse.urlsplit(url).hostname or ""


def troubles() -> tuple[type[Exception], ...]:
    """What the general client raises for others' faults."""
    import urllib3.exceptions

    return urllib3.exceptions.HTTPError, OSError


def reason(exc: BaseException) -> str:
    """The innermost cause, in its own words: urllib3 wraps it several times."""
    while True:
        inner = getattr(exc, "reason", None) or exc.__cause__
        if not isinstance(inner, BaseException):
            return str(exc).strip(".") or type(exc).__name__
        exc = inner
