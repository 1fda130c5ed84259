"""Packages signed by rpmsign, checked by the keys that the operator names; held against what rpmkeys says of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stationmaster.mirror import rpmfile, trust
from stationmaster.testing import mirror_bench, simulated_upstream

COMMAND = [str(Path(sys.executable).with_name("stationmaster")), "mirror"]


def sign(run: Callable[..., str], home: Path, rpm: Path) -> Path:
    settings = {
        "__gpg": "/usr/bin/gpg",
        "_gpg_name": "t@example.com",
        "_gpg_path": home,
        "_gpg_sign_cmd_extra_args": "--batch --pinentry-mode loopback",
    }
    defines = [word for name, value in settings.items() for word in ("--define", f"{name} {value}")]
    run("rpmsign", "--addsign", *defines, rpm, home=home)
    return rpm


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory, build_rpms: Any, run: Any, upstream: Any) -> Path:
    """``lab`` signed by the upstream's key, ``lab-c++`` not."""
    root = tmp_path_factory.mktemp("signed")
    for rpm in build_rpms("5"):
        shutil.copy(rpm, root)
    sign(run, upstream.home, root / "lab-5-1.noarch.rpm")
    return root


@pytest.fixture(scope="module")
def keyring(upstream: Any) -> trust.Keyring:
    found = trust.load_keyring([upstream.key.read_bytes()])
    assert found is not None
    return found


def problem_of(path: Path, keyring: trust.Keyring) -> str:
    try:
        rpmfile.require_signed(path, keyring)
    except rpmfile.UnsignedError as exc:
        return str(exc)
    return ""


def test_a_signed_package_is_believed_and_an_unsigned_one_not(packages: Path, keyring: trust.Keyring) -> None:
    assert problem_of(packages / "lab-5-1.noarch.rpm", keyring) == ""
    assert problem_of(packages / "lab-c++-5-1.noarch.rpm", keyring) == "is not signed"


def test_a_signature_by_another_key_names_both(packages: Path, run: Any, tmp_path: Path) -> None:
    home = tmp_path / "gpg"
    home.mkdir(mode=0o700)
    run("gpg", "--batch", "--passphrase", "", "--quick-gen-key", "o <o@example.com>", "rsa2048", "sign", home=home)
    other = trust.load_keyring([run("gpg", "--armor", "--export", home=home).encode()])
    run("gpgconf", "--kill", "gpg-agent", home=home)
    assert other is not None
    said = problem_of(packages / "lab-5-1.noarch.rpm", other)
    assert "expected was a good signature by " + other.certificates[0].fingerprint.upper() in said


def test_each_altered_byte_of_header_and_payload_is_noticed(
    packages: Path, keyring: trust.Keyring, run: Any, upstream: Any, tmp_path: Path
) -> None:
    """What only the signature header says besides signatures (MD5, SHA-1) is left to rpm: nobody signed it."""
    database = tmp_path / "rpmdb"
    run("rpmkeys", "--dbpath", database, "--import", upstream.key)
    whole = (packages / "lab-5-1.noarch.rpm").read_bytes()
    start = whole.index(b"\x8e\xad\xe8\x01", 97 + 4)
    altered = tmp_path / "altered.rpm"
    for position in range(start, len(whole), max(1, (len(whole) - start) // 60)):
        altered.write_bytes(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        assert problem_of(altered, keyring), position
    for size in (0, 50, 96, 112, 200, len(whole) // 2, len(whole) - 1):
        altered.write_bytes(whole[:size])
        assert problem_of(altered, keyring)
    judged = run("rpmkeys", "--dbpath", database, "--checksig", packages / "lab-5-1.noarch.rpm")
    assert "signatures OK" in judged  # rpm believes what we believe


@pytest.fixture
def bench(packages: Path, run: Any, tmp_path: Path) -> mirror_bench.Bench:
    root = tmp_path / "root"
    root.mkdir()
    shutil.copy(packages / "lab-5-1.noarch.rpm", root)
    run("createrepo_c", "-q", root)
    return mirror_bench.make_bench(tmp_path / "mirror", simulated_upstream.Site(mirror_bench.tree_of(root)))


def test_an_unsigned_package_keeps_the_last_good_generation(
    bench: mirror_bench.Bench, packages: Path, run: Any, tmp_path: Path, upstream: Any
) -> None:
    keys = (upstream.key.read_bytes(),)
    first = bench.sync(package_keys=keys)
    assert first.error is None
    shutil.copy(packages / "lab-c++-5-1.noarch.rpm", tmp_path / "root")
    run("createrepo_c", "-q", tmp_path / "root")
    bench.site.files = mirror_bench.tree_of(tmp_path / "root")
    refused = bench.sync(package_keys=keys)
    assert refused.error is not None
    assert refused.error.code == "PackageSignature"
    assert "lab-c++-5-1.noarch.rpm is not signed" in refused.error.message
    assert "lab-5-1" not in refused.error.message
    assert refused.generation == first.generation
    assert set(bench.published()) == {path for path in bench.published() if "c++" not in path}
    assert bench.sync().error is None  # without the wish it is taken
    again = bench.sync(package_keys=keys)
    assert again.error is not None  # and with it, what is held already is looked at
    assert again.error.code == "PackageSignature"


def test_what_was_checked_is_not_checked_again(bench: mirror_bench.Bench, upstream: Any) -> None:
    keys = (upstream.key.read_bytes(),)
    generation = bench.sync(package_keys=keys).generation
    pooled = next(path for path in (bench.volume.root / "pool").rglob("*") if path.is_file())
    pooled.unlink()
    again = bench.sync(package_keys=keys)
    assert (again.error, again.generation) == (None, generation)
    assert again.requests == 2


def test_the_command(packages: Path, volume: Path, run: Any, upstream: Any) -> None:
    root = upstream.root / "signed"
    shutil.copytree(packages, root)
    run("createrepo_c", "-q", root)
    options = ["--format", "rpm", "--url", upstream.url + "signed", "--name", "s", "--dest", str(volume), "--json"]
    done = subprocess.run(
        [*COMMAND, "sync", *options, "--package-key", upstream.key], capture_output=True, text=True, check=False
    )
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "PackageSignature")
    assert json.loads(run(*COMMAND, "sync", *options))["state"] == "SYNCED"
    usage = subprocess.run([*COMMAND, "sync", *options, "--check-packages"], capture_output=True, check=False)
    assert usage.returncode == 2
