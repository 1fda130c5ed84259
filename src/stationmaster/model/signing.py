"""The OCI request signature, as text: which headers are signed and what bytes. RSA itself lies elsewhere.

Source: the HTTP Signatures draft (cavage-08) in the dialect of the OCI SDKs. Clients and the hub use this one module.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from collections.abc import Mapping

from stationmaster.model import errors

BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
_GENERAL = ("date", "(request-target)", "host")
_BODY = ("content-length", "content-type", "x-content-sha256")
_PARAMETER = re.compile(r'([A-Za-z]+)="([^"]*)"')


@dataclasses.dataclass(frozen=True)
class KeyId:
    """``<tenancy>/<principal>/<fingerprint>``: the principal is a user or a registered machine."""

    tenancy_id: str
    principal_id: str
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.tenancy_id}/{self.principal_id}/{self.fingerprint}"


@dataclasses.dataclass(frozen=True)
class Authorization:
    """A parsed Authorization header; header names in lower case (the JavaScript SDK writes them mixed)."""

    key_id: KeyId
    headers: tuple[str, ...]
    signature: bytes


def signed_headers(method: str) -> tuple[str, ...]:
    """The header names a client signs, in the SDK's order."""
    return _GENERAL + (_BODY if method.upper() in BODY_METHODS else ())


def body_digest(body: bytes) -> str:
    """Value of x-content-sha256."""
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def signing_string(method: str, target: str, headers: Mapping[str, str], names: tuple[str, ...]) -> bytes:
    """The bytes that are signed. ``target`` is the path with query as sent; ``headers`` has lower-case names."""
    lines = []
    for name in names:
        if name == "(request-target)":
            lines.append(f"(request-target): {method.lower()} {target}")
        elif name in headers:
            lines.append(f"{name}: {headers[name]}")
        else:
            raise errors.NotAuthenticatedError(f"The signature covers the header {name}, which the request lacks.")
    return "\n".join(lines).encode()


def parse_authorization(value: str) -> Authorization:
    """Parse the header as a set of parameters; NotAuthenticatedError says what is missing or unknown."""
    scheme, _, rest = value.partition(" ")
    if scheme.lower() != "signature":
        raise errors.NotAuthenticatedError("The Authorization header is not of the scheme Signature.")
    found = _PARAMETER.findall(rest)
    parameters = dict(found)
    if len(parameters) != len(found):
        raise errors.NotAuthenticatedError("The Authorization header names a parameter twice.")
    for name in ("keyId", "headers", "signature", "algorithm", "version"):
        if name not in parameters:
            raise errors.NotAuthenticatedError(f"The Authorization header lacks the parameter {name}.")
    if parameters["algorithm"].lower() != "rsa-sha256" or parameters["version"] != "1":
        raise errors.NotAuthenticatedError("Only algorithm rsa-sha256, version 1, is accepted.")
    parts = parameters["keyId"].split("/")
    if len(parts) != 3 or not all(parts):
        raise errors.NotAuthenticatedError("keyId is not of the form tenancy/principal/fingerprint.")
    try:
        signature = base64.b64decode(parameters["signature"], validate=True)
    except ValueError as exc:
        raise errors.NotAuthenticatedError("The signature is not base64.") from exc
    return Authorization(KeyId(*parts), tuple(parameters["headers"].lower().split()), signature)


def required_headers(method: str, names: tuple[str, ...]) -> None:
    """NotAuthenticatedError unless all that must be signed is signed; ``x-date`` may stand in for ``date``."""
    wanted = set(signed_headers(method)) - {"date"}
    missing = sorted(wanted - set(names))
    if missing:
        raise errors.NotAuthenticatedError(f"The signature does not cover {', '.join(missing)}.")
    if "date" not in names and "x-date" not in names:
        raise errors.NotAuthenticatedError("The signature covers neither date nor x-date.")


def format_authorization(key_id: KeyId, names: tuple[str, ...], signature: bytes) -> str:
    """The header value, parameters in the SDK's order."""
    encoded = base64.b64encode(signature).decode()
    return (
        f'Signature algorithm="rsa-sha256",headers="{" ".join(names)}",keyId="{key_id}",'
        f'signature="{encoded}",version="1"'
    )
