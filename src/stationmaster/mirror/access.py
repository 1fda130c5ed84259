"""What an upstream wants to see before it gives anything: a password or token, a client certificate, a CA of its own.

Credentials go to the origins that the operator named (scheme, host and port of the source's own addresses and list) and
to nobody else: not along a redirect, not to the mirrors that a list names. They are shown nowhere.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib import parse

from stationmaster.host import http as host_http
from stationmaster.mirror import exchange, source
from stationmaster.model import errors

_FIELDS = frozenset({"username", "password", "token"})
_PORTS = {"http": 80, "https": 443}


@dataclasses.dataclass(frozen=True)
class Credentials:
    """All optional. ``token`` is a bearer token (RFC 6750). Files are PEM; the key must not be encrypted."""

    username: str = ""
    password: str = dataclasses.field(default="", repr=False)
    token: str = dataclasses.field(default="", repr=False)
    certificate: Path | None = None
    key: Path | None = None  # None: in the certificate's file
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        if self.token and (self.username or self.password):
            raise errors.CallerError("Credentials hold a password and a token.", hint="Give one of the two.")
        if self.password and not self.username:
            raise errors.CallerError("Credentials hold a password without a user name.", hint="Add username=….")
        if ":" in self.username:
            raise errors.CallerError("A user name cannot hold a colon (RFC 7617).", hint="Correct the user name.")
        if any(not one.isprintable() for one in (self.username, self.password, self.token)):
            raise errors.CallerError("Credentials hold a control character.", hint="Write each on a line of its own.")
        if self.token and not self.token.isascii():
            raise errors.CallerError("A token can hold ASCII alone (RFC 6750).", hint="Correct the token.")
        if self.key and not self.certificate:
            raise errors.CallerError("A client key is given without its certificate.", hint="Give both.")

    @property
    def authorization(self) -> str:
        """The value of an ``Authorization`` header; empty when none is wanted."""
        if self.token:
            return f"Bearer {self.token}"
        if self.username:
            return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return ""


class Door:
    """The HTTP door of one source: origins that were named see the credentials, all others the common door."""

    def __init__(
        self, named: exchange.HttpDoor, others: exchange.HttpDoor, origins: frozenset[str], authorization: str
    ) -> None:
        self._named = named
        self._others = others
        self._origins = origins
        self._authorization = authorization

    def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], connect_timeout: float, read_timeout: float
    ) -> contextlib.AbstractContextManager[exchange.Answer]:
        """One request, as ``host.http.Http.stream``."""
        door = self._others
        if origin_of(url) in self._origins:
            door = self._named
            if self._authorization:
                headers = {**headers, "Authorization": self._authorization}
        return door.stream(method, url, headers=headers, connect_timeout=connect_timeout, read_timeout=read_timeout)


@contextlib.contextmanager
def opened(
    credentials: Credentials, wanted: source.Source, others: exchange.HttpDoor, *, is_tls_verified: bool = True
) -> Iterator[exchange.HttpDoor]:
    """The door to a source's upstream; ``others`` itself where no credentials are needed."""
    if credentials == Credentials():
        yield others
        return
    origins = frozenset(origin_of(url) for url in source.named_addresses(wanted))
    files = (credentials.certificate, credentials.key, credentials.ca_file)
    if not any(files):
        yield Door(others, others, origins, credentials.authorization)
        return
    own = _own_http(credentials, is_tls_verified=is_tls_verified)
    try:
        yield Door(own, others, origins, credentials.authorization)
    finally:
        own.close()


def warnings_of(credentials: Credentials, wanted: source.Source) -> tuple[str, ...]:
    """What the operator should know of the way that credentials take."""
    plain = [url for url in source.named_addresses(wanted) if url.lower().startswith("http:")]
    if credentials.authorization and plain:
        return (f"The credentials of {wanted.name} travel in clear to {plain[0]}.",)
    return ()


def parse_credentials(text: str, *, what: str) -> Credentials:
    """``username=``, ``password=`` and ``token=``, one a line; no message shows a line: it may hold the secret."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, separator, value = line.partition("=")
        name = name.strip().lower()
        if not separator or name not in _FIELDS or name in found:
            raise errors.CallerError(
                f"Line {number} of {what} is no credential, or one given twice.",
                hint="Write username=…, password=… or token=…, one a line.",
            )
        found[name] = value.strip()
    if not any(found.values()):
        raise errors.CallerError(f"{what} holds no credentials.", hint="Write username=…, password=… or token=….")
    return Credentials(found.get("username", ""), found.get("password", ""), found.get("token", ""))


def split_userinfo(url: str) -> tuple[str, Credentials]:
    """An address without the ``user:password@`` in it, and what that said."""
    try:
        parsed = parse.urlsplit(url)
    except ValueError:
        return url, Credentials()
    userinfo, at, host = parsed.netloc.rpartition("@")
    if not at:
        return url, Credentials()
    username, _, password = userinfo.partition(":")
    plain = parsed._replace(netloc=host).geturl()
    return plain, Credentials(username=parse.unquote(username), password=parse.unquote(password))


def origin_of(url: str) -> str:
    """Scheme, host and port, in one spelling (RFC 6454)."""
    try:
        parsed = parse.urlsplit(url)
        return f"{parsed.scheme}://{parsed.hostname}:{parsed.port or _PORTS.get(parsed.scheme, 0)}"
    except ValueError:
        return ""


def _own_http(credentials: Credentials, *, is_tls_verified: bool) -> host_http.Http:
    pair = (credentials.certificate, credentials.key or credentials.certificate) if credentials.certificate else None
    try:
        return host_http.Http(ca_file=credentials.ca_file, client_certificate=pair, is_tls_verified=is_tls_verified)
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError, and says nothing about the file
        named = ", ".join(str(one) for one in (*(pair or ()), credentials.ca_file) if one is not None)
        raise errors.CallerError(
            f"{named} cannot be used for TLS: {getattr(exc, 'strerror', None) or exc}.",
            hint="Give readable PEM files; the key without a passphrase, and fitting the certificate.",
        ) from exc
