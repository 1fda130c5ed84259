"""Signatures as gpg makes them, good ones and all others, against a pinned key."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stationmaster.mirror import release, trust
from stationmaster.model import errors

TEXT = b"Suite: x\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n " + b"0" * 64 + b" 1 main/x\n"
Gpg = Callable[..., bytes]


@pytest.fixture(scope="module")
def gpg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gpg]:
    home = tmp_path_factory.mktemp("gpg")
    home.chmod(0o700)

    def run(*arguments: str, content: bytes = b"") -> bytes:
        return subprocess.run(
            ["gpg", "--batch", "--yes", "--passphrase", "", "--pinentry-mode", "loopback", *arguments],
            env={**os.environ, "GNUPGHOME": str(home)}, input=content, capture_output=True, check=True,
        ).stdout  # fmt: skip

    run("--quick-gen-key", "good <good@example.com>", "rsa2048", "sign", "never")
    run("--quick-add-key", fingerprint(run), "rsa2048", "sign", "never")  # gpg signs with this one from now on
    run("--quick-gen-key", "other <other@example.com>", "ed25519", "sign", "never")
    yield run
    subprocess.run(["gpgconf", "--kill", "gpg-agent"], env={**os.environ, "GNUPGHOME": str(home)}, check=True)


def fingerprint(gpg: Gpg, who: str = "good") -> str:
    lines = gpg("--with-colons", "-K", who).decode().splitlines()
    return next(line.split(":")[9] for line in lines if line.startswith("fpr"))


@pytest.fixture(scope="module")
def ring(gpg: Gpg) -> trust.Keyring:
    found = trust.load_keyring([gpg("--armor", "--export", "good")])
    assert found is not None
    return found


def detached(gpg: Gpg, *options: str, content: bytes = TEXT) -> bytes:
    return gpg("--allow-weak-digest-algos", "-u", "good", *options, "--detach-sign", content=content)


def inline(gpg: Gpg, *options: str) -> bytes:
    return gpg("--allow-weak-digest-algos", "-u", "good", *options, "--clearsign", content=TEXT)


def read_inline(ring: trust.Keyring, document: bytes) -> bytes:
    text = ring.verify_inline(document, what="InRelease")
    release.require_clearsigned(document, what="InRelease")
    return text


def refusal(attempt: Callable[[], object]) -> str:
    with pytest.raises(errors.UpstreamError) as caught:
        attempt()
    return caught.value.code


@pytest.mark.parametrize("options", [(), ("--armor",), ("--textmode",), ("--digest-algo", "SHA256")])
def test_good_signatures_hold_also_by_a_subkey(gpg: Gpg, ring: trust.Keyring, options: tuple[str, ...]) -> None:
    ring.verify_detached(TEXT, detached(gpg, *options), what="x")
    assert read_inline(ring, inline(gpg, *options)).strip() == TEXT.strip()


@pytest.mark.parametrize("algorithm", ["SHA1", "MD5", "RIPEMD160"])
def test_weak_digests_are_no_signature(gpg: Gpg, ring: trust.Keyring, algorithm: str) -> None:
    weak = ("--digest-algo", algorithm)
    assert refusal(lambda: ring.verify_detached(TEXT, detached(gpg, *weak), what="x")) == "SignatureInvalid"
    assert refusal(lambda: read_inline(ring, inline(gpg, *weak))) == "SignatureInvalid"


def test_other_content_other_keys_other_times(gpg: Gpg, ring: trust.Keyring) -> None:
    good = detached(gpg)
    future = gpg("--faked-system-time", "20400101T000000", "-u", "good", "--detach-sign", content=TEXT)
    for content, signature in (
        (TEXT + b" ", good),
        (TEXT, gpg("-u", "other", "--detach-sign", content=TEXT)),
        (TEXT, future),
        (TEXT, b""),
        (TEXT, b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n"),
        (TEXT, good[: len(good) // 2]),
        (TEXT, inline(gpg)),
    ):
        code = refusal(lambda c=content, s=signature: ring.verify_detached(c, s, what="x"))  # type: ignore[misc]
        assert code in ("SignatureInvalid", "SignatureMissing")


def test_only_a_document_signed_from_first_to_last_line_is_taken(gpg: Gpg, ring: trust.Keyring) -> None:
    """The library reads the signed part of each of these; clients would refuse, or believe, the rest."""
    good = inline(gpg)
    for spoilt in (
        good + b"\nEvil: yes\n",
        b"Evil: yes\n" + good,
        good + good,
        good.replace(b"\n\n", b"\nEvil: yes\n\n", 1),
        gpg("-u", "good", "--sign", content=TEXT),
        gpg("-u", "good", "--armor", "--sign", content=TEXT),
    ):
        assert refusal(lambda s=spoilt: read_inline(ring, s)) == "TextOutsideSignature"  # type: ignore[misc]
    assert refusal(lambda: read_inline(ring, TEXT)) == "SignatureMissing"
    assert refusal(lambda: read_inline(ring, good.replace(b"Suite: x", b"Suite: y"))) == "SignatureInvalid"


def test_several_keys_in_a_file_and_rubbish_around_them(gpg: Gpg) -> None:
    both = gpg("--armor", "--export", "other") + b"rubbish\n" + gpg("--armor", "--export", "good") + b"rubbish"
    for content in (both, gpg("--export", "other") + gpg("--export", "good")):
        ring = trust.load_keyring([content])
        assert ring is not None
        assert len(ring.certificates) == 2
        ring.verify_detached(TEXT, detached(gpg), what="x")
        trust.require_unexpired(ring, None)
    for rubbish in (b"", b"hello", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n", detached(gpg), bytes(1000)):
        with pytest.raises(errors.CallerError):
            trust.load_keyring([rubbish])


def test_a_revoked_key_proves_nothing(gpg: Gpg) -> None:
    gpg("--quick-gen-key", "gone <gone@example.com>", "ed25519", "sign", "never")
    signature = gpg("-u", "gone", "--detach-sign", content=TEXT)
    ring = trust.load_keyring([gpg("--armor", "--export", "gone")])
    assert ring is not None
    ring.verify_detached(TEXT, signature, what="x")
    home = Path(gpg("--version").decode().partition("Home: ")[2].splitlines()[0])
    revocation = (home / "openpgp-revocs.d" / f"{fingerprint(gpg, 'gone')}.rev").read_text().replace(":-----", "-----")
    gpg("--import", content=revocation.encode())
    revoked = trust.load_keyring([gpg("--armor", "--export", "gone")])
    assert revoked is not None
    assert refusal(lambda: revoked.verify_detached(TEXT, signature, what="x")) == "SignatureInvalid"
