from __future__ import annotations

import base64
import contextlib
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import errors, signing

KEY_ID = signing.KeyId("ocid1.tenancy.oc1..t", "ocid1.user.oc1..u", "aa:bb")
PARTS = st.text(st.characters(codec="ascii", categories=["L", "N"], include_characters=".:-"), min_size=1)
KEY_IDS = st.builds(signing.KeyId, PARTS, PARTS, PARTS)
NAMES = st.lists(st.sampled_from(["date", "host", "(request-target)", "x-date"]), min_size=1, unique=True).map(tuple)


def header(**changes: Any) -> Any:
    parts = {
        "algorithm": "rsa-sha256",
        "headers": "date (request-target) host",
        "keyId": str(KEY_ID),
        "signature": base64.b64encode(b"s").decode(),
        "version": "1",
    } | changes
    return "Signature " + ",".join(f'{name}="{value}"' for name, value in parts.items() if value is not None)


@given(KEY_IDS, NAMES, st.binary())
def test_what_is_formatted_parses_to_the_same(key_id: Any, names: Any, signature: Any) -> None:
    parsed = signing.parse_authorization(signing.format_authorization(key_id, names, signature))
    assert parsed == signing.Authorization(key_id, names, signature)


def test_the_signing_string_is_as_the_sdk_makes_it() -> None:
    headers = {"date": "D", "host": "h:1", "content-length": "2"}
    names = ("date", "(request-target)", "host", "content-length")
    expected = b"date: D\n(request-target): post /p?a=b%20c\nhost: h:1\ncontent-length: 2"
    assert signing.signing_string("POST", "/p?a=b%20c", headers, names) == expected


def test_an_empty_body_has_the_known_digest() -> None:
    assert signing.body_digest(b"") == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@given(st.binary())
def test_digests_are_sha256_in_base64(body: Any) -> None:
    assert base64.b64decode(signing.body_digest(body)) == hashlib.sha256(body).digest()


def test_attributes_may_come_in_any_order_and_names_in_any_case() -> None:
    shuffled = 'signature version="1",signature="cw==",keyId="a/b/c",headers="X-Date Host",algorithm="RSA-SHA256"'
    assert signing.parse_authorization(shuffled).headers == ("x-date", "host")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic eA==",
        header(version="2"),
        header(algorithm="hmac-sha256"),
        header(keyId="a/b"),
        header(keyId="a//c"),
        header(keyId="a/b/c/d"),
        header(signature="%%%"),
        header(headers=None),
        header(keyId=None),
        header(version=None),
        header() + ',keyId="x/y/z"',
    ],
)
def test_what_is_no_signature_is_refused(value: Any) -> None:
    with pytest.raises(errors.NotAuthenticatedError):
        signing.parse_authorization(value)


@given(st.text())
def test_any_text_parses_or_is_refused(value: Any) -> None:
    with contextlib.suppress(errors.NotAuthenticatedError):
        signing.parse_authorization(value)


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST", "PUT"])
def test_leaving_any_required_header_unsigned_is_refused(method: Any) -> None:
    names = signing.signed_headers(method)
    signing.required_headers(method, names)
    signing.required_headers(method, tuple("x-date" if name == "date" else name for name in names))
    for left_out in names:
        with pytest.raises(errors.NotAuthenticatedError):
            signing.required_headers(method, tuple(name for name in names if name != left_out))


def test_a_signed_header_that_is_missing_is_refused() -> None:
    with pytest.raises(errors.NotAuthenticatedError, match="x-date"):
        signing.signing_string("GET", "/", {"host": "h"}, ("host", "x-date"))
