"""One signed conversation with the hub. Errors come back as the hub worded them; retries are the caller's decision."""

from __future__ import annotations

import dataclasses
import email.utils
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

from stationmaster.api_client import keys
from stationmaster.host import clock, http
from stationmaster.model import addresses, errors, signing

T = TypeVar("T")
Query = Mapping[str, str | int | bool | Sequence[str] | None]


class HubRefusedError(errors.CallerError):
    """The hub answered with an error; ``status`` is its HTTP status, ``code`` the one in its body."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message, code=code)
        self.status = status


class HubFailedError(errors.PeerError):
    """The hub answered 5xx, or something that is no answer of a hub."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """A good answer of the hub; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as plain JSON values; None when it is empty."""
        return msgspec.json.decode(self.body) if self.body else None

    def decode(self, kind: type[T]) -> T:
        """The body as a message; HubFailedError when it is none."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.DecodeError as exc:
            raise HubFailedError(f"The hub sent an answer that cannot be understood: {exc}.") from exc


class Session:
    """Signs each request with one key. Safe to use from several threads."""

    def __init__(
        self,
        endpoint: str,
        connection: http.Http,
        wall_clock: clock.Clock,
        *,
        key_id: signing.KeyId | None = None,
        key: rsa.RSAPrivateKey | None = None,
    ) -> None:
        addresses.require_protected_url(endpoint, field="The hub's address")
        self.endpoint = endpoint.rstrip("/")
        self._connection = connection
        self._clock = wall_clock
        self._key_id = key_id
        self._key = key

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: msgspec.Struct | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> Answer:
        """One request. HubRefusedError for 4xx, HubFailedError for 5xx, PeerError when no answer came."""
        target = path + _encode_query(query or {})
        content = b"" if body is None else msgspec.json.encode(body)
        sent = self._headers(method, target, content, headers or {})
        answer = self._connection.request(
            method,
            self.endpoint + target,
            headers=sent,
            body=content if method.upper() in signing.BODY_METHODS else None,
            timeout=timeout,
        )
        if 200 <= answer.status < 300:
            return Answer(answer.status, answer.headers, answer.body)
        raise _refusal(answer)

    def _headers(self, method: str, target: str, content: bytes, extra: Mapping[str, str]) -> dict[str, str]:
        sent = {
            "accept": "application/json",
            "date": email.utils.format_datetime(self._clock.now(), usegmt=True),
            "host": urllib.parse.urlsplit(self.endpoint).netloc,
            **{name.lower(): value for name, value in extra.items()},
        }
        if method.upper() in signing.BODY_METHODS:
            sent["content-type"] = "application/json"
            sent["content-length"] = str(len(content))
            sent["x-content-sha256"] = signing.body_digest(content)
        if self._key is not None and self._key_id is not None:
            names = signing.signed_headers(method)
            signature = keys.sign(self._key, signing.signing_string(method, target, sent, names))
            sent["authorization"] = signing.format_authorization(self._key_id, names, signature)
        return sent


def _encode_query(query: Query) -> str:
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        if value is None:
            continue
        if isinstance(value, bool):
            pairs.append((name, "true" if value else "false"))
        elif isinstance(value, (str, int)):
            pairs.append((name, str(value)))
        else:
            pairs.extend((name, one) for one in value)
    return "?" + urllib.parse.urlencode(pairs) if pairs else ""


def _refusal(answer: http.Response) -> errors.StationmasterError:
    try:
        body = msgspec.json.decode(answer.body)
        code, message = str(body["code"]), str(body["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return HubFailedError(f"The hub answered with status {answer.status} and no error body.")
    if answer.status >= 500:
        return HubFailedError(message, code=code)
    return HubRefusedError(answer.status, code, message)
