"""Who made a request: the OCI signature, checked against the bytes that arrived (reference: OSMH part E).

In this order: the header parses; all that must be signed is signed; the date that is signed, and no other, is within
five minutes; the key is known; the signature holds; the body is the one that was signed. Why a key or signature is not
accepted is not told apart, so that nobody learns which keys exist.
"""

from __future__ import annotations

import datetime
import email.utils
import functools
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import rsa

from stationmaster.api_client import keys
from stationmaster.hub.api.call import Principal, PrincipalKind
from stationmaster.hub.db import schema
from stationmaster.model import errors, signing

MAX_SKEW = datetime.timedelta(minutes=5)

# Built once: every signed request runs it, and building it costs more than the look-up.
_KEY_QUERY = (
    sa.select(schema.principals.c.id, schema.principals.c.kind, schema.principals.c.name, schema.api_keys.c.public_key)
    .join(schema.api_keys, schema.api_keys.c.principal_id == schema.principals.c.id)
    .where(schema.principals.c.id == sa.bindparam("principal"))
    .where(schema.principals.c.tenancy_id == sa.bindparam("tenancy"))
    .where(schema.api_keys.c.fingerprint == sa.bindparam("fingerprint"))
)


def authenticate(
    tx: sa.Connection,
    *,
    method: str,
    target: str,
    headers: Mapping[str, str],
    now: datetime.datetime,
) -> Principal:
    """The principal whose signature over the headers holds; NotAuthenticatedError otherwise. The body comes after."""
    if "authorization" not in headers:
        raise errors.NotAuthenticatedError("The request is not signed.")
    authorization = signing.parse_authorization(headers["authorization"])
    signing.required_headers(method, authorization.headers)
    _require_fresh(authorization.headers, headers, now)
    message = signing.signing_string(method, target, headers, authorization.headers)
    row = _find_key(tx, authorization.key_id)
    if row is None or not keys.is_signature_valid(_load_key(row.public_key), authorization.signature, message):
        raise errors.NotAuthenticatedError(
            "The key is unknown, or the signature does not hold.",
            hint="Check tenancy, user, fingerprint and key file of the client's configuration, and its endpoint.",
        )
    return Principal(row.id, PrincipalKind(row.kind), row.name, authorization.key_id.fingerprint)


def require_body(method: str, headers: Mapping[str, str], body: bytes) -> None:
    """The body that arrived is the one whose length and digest were signed."""
    if method not in signing.BODY_METHODS:
        return
    if headers.get("content-length") != str(len(body)):
        raise errors.NotAuthenticatedError("content-length is not the length of the body that arrived.")
    if headers.get("x-content-sha256") != signing.body_digest(body):
        raise errors.NotAuthenticatedError("x-content-sha256 is not the digest of the body that arrived.")


def _require_fresh(names: tuple[str, ...], headers: Mapping[str, str], now: datetime.datetime) -> None:
    for name in ("date", "x-date"):
        if name not in names:
            continue  # an unsigned date proves nothing: whoever replays a request could write a new one
        try:
            sent = email.utils.parsedate_to_datetime(headers.get(name, ""))
        except ValueError as exc:
            raise errors.NotAuthenticatedError(f"The header {name} is no date.") from exc
        if sent.tzinfo is None or abs(sent - now) > MAX_SKEW:
            raise errors.NotAuthenticatedError(
                f"The header {name} is more than five minutes away from the hub's time, {now:%Y-%m-%dT%H:%M:%SZ}.",
                hint="Set the client's clock.",
            )


def _find_key(tx: sa.Connection, key_id: signing.KeyId) -> Any:
    named = {"principal": key_id.principal_id, "tenancy": key_id.tenancy_id, "fingerprint": key_id.fingerprint}
    return tx.execute(_KEY_QUERY, named).one_or_none()


@functools.lru_cache(maxsize=20_000)
def _load_key(pem: str) -> rsa.RSAPublicKey:
    return keys.load_public_key(pem)
