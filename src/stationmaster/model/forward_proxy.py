"""The proxy between a station and the hub, as ``proxy.forward`` carries it: hub and station read it the same way."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse

from stationmaster.model import addresses, errors

_FORM = re.compile(
    r"(?:http://)?(?:(?P<user>[^:@/\s]+):(?P<password>[^@/\s]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:@/\s\[\]]+)(?::(?P<port>\d{1,5}))?/?"
)
_USUAL_PORT = 80  # as any URL of plain HTTP


@dataclasses.dataclass(frozen=True)
class ForwardProxy:
    """A proxy between this station and the hub; user and password in plain text."""

    host: str
    port: int
    user: str = ""
    password: str = dataclasses.field(default="", repr=False)


def parse_forward_proxy(text: str) -> ForwardProxy:
    """``[http://][user:password@]host[:port]``; CallerError otherwise, which never shows the password."""
    found = _FORM.fullmatch(text)
    port = int(found["port"] or _USUAL_PORT) if found else 0
    if not found or not 1 <= port <= 65535 or not text.isprintable():
        raise errors.CallerError(
            f"proxy.forward is {hide_credentials(text)!r}, which is no HTTP proxy address.",
            hint="Write it as http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT.",
        )
    host = addresses.require_host(found["host"], field="proxy.forward")
    user, password = (urllib.parse.unquote(found[name] or "") for name in ("user", "password"))
    return ForwardProxy(addresses.canonical_host(host), port, user, password)


def hide_credentials(text: str) -> str:
    """An address that may be shown: without what stands before its last ``@``."""
    return re.sub(r"(?s)^(\w+://)?.*@", r"\1…@", text)[:200]
