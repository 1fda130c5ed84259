"""A directory of CAs as libcurl's CAPATH wants it: each certificate under the hash of its subject.

libzypp takes no CA file per repository, only such a directory, named in the address by ``ssl_capath``. The hash is that
of OpenSSL's X509_NAME_hash: SHA-1 over the subject's attributes in canonical form (x509/x_name.c): UTF-8, ASCII letters
small, white space outside dropped and inside one blank.
"""

from __future__ import annotations

import collections
import hashlib
import string

from cryptography import x509
from cryptography.hazmat.primitives import serialization

_OBJECT, _UTF8, _SEQUENCE, _SET = 0x06, 0x0C, 0x30, 0x31
_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def render_trust_directory(pem: str) -> dict[str, str]:
    """The files of the directory, by name; none for a text without certificates, so that nothing is trusted."""
    try:
        certificates = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        return {}
    files: dict[str, str] = {}
    seen: collections.Counter[str] = collections.Counter()
    for certificate in certificates:
        name = subject_hash(certificate.subject)
        files[f"{name}.{seen[name]}"] = certificate.public_bytes(serialization.Encoding.PEM).decode()
        seen[name] += 1
    return files


def subject_hash(subject: x509.Name) -> str:
    """What `openssl x509 -subject_hash` prints."""
    canonical = b"".join(_der(_SET, b"".join(sorted(map(_attribute, rdn)))) for rdn in subject.rdns)
    digest = hashlib.sha1(canonical, usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def _attribute(attribute: x509.NameAttribute[str | bytes]) -> bytes:
    value = attribute.value
    text = value if isinstance(value, bytes) else " ".join(value.split()).translate(_SMALL).encode()
    return _der(_SEQUENCE, _der(_OBJECT, _object_id(attribute.oid.dotted_string)) + _der(_UTF8, text))


def _object_id(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    encoded = bytearray()
    for number in (40 * first + second, *rest):
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(0x80 | number & 0x7F)
        encoded += bytes(reversed(groups))
    return bytes(encoded)


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content
