"""Generated DEB sources as real apt sees them: signed by our key, exactly the kept packages, by hash."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stationmaster.testing import mirror_bench

COMMAND = [str(Path(sys.executable).with_name("stationmaster")), "mirror"]
PACKAGES = [("lab-one", "1.0"), ("lab-one", "1.10"), ("lab-one", "1.9~rc1"), ("lab-two", "1:0.5"), ("lab-old", "3")]
TRANSLATIONS = "".join(
    f"Package: {name}\nDescription-md5: 0123456789abcdef0123456789abcdef\nDescription-en: {name}\n words\n\n"
    for name in ("lab-one", "lab-two")
)


@pytest.fixture(scope="module")
def mirrored(upstream: Any, run: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A volume with the source ``deb``, and a signing key."""
    root: Path = upstream.root / "gen-deb"
    index = root / "dists/stable/main/binary-amd64"
    index.mkdir(parents=True)
    (root / "pool").mkdir()
    for name, version in PACKAGES:
        work = tmp_path_factory.mktemp("deb")
        (work / "DEBIAN").mkdir()
        (work / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: t <t@example.com>\nDescription: t\n"
        )
        run("dpkg-deb", "--root-owner-group", "-b", work, root / f"pool/{name}_{version.replace(':', '%3a')}_all.deb")
    (index / "Packages").write_text(run("apt-ftparchive", "packages", "pool", directory=root))
    run("xz", "-k", index / "Packages")
    (index.parent / "i18n").mkdir()
    (index.parent / "i18n/Translation-en").write_text(TRANSLATIONS)
    (index.parent / "Contents-amd64").write_text("usr/x  lab-one\n")
    release = "APT::FTPArchive::Release::"
    settings = {"Acquire-By-Hash": "yes", "Components": "main", "Architectures": "amd64", "Codename": "stable",
                "Suite": "stable", "Origin": "Lab"}  # fmt: skip
    options = [f"-o={release}{name}={value}" for name, value in settings.items()]
    text = run("apt-ftparchive", *options, "release", root / "dists/stable")
    (root / "dists/stable/Release").write_text("Valid-Until: Sat, 01 Jan 2050 00:00:00 UTC\n" + text)
    upstream.sign_inline(root / "dists/stable/Release", root / "dists/stable/InRelease")
    top = tmp_path_factory.mktemp("generated")
    run(*COMMAND, "init", "--dest", top / "volume")
    run(*COMMAND, "sync", "--format", "deb", "--url", upstream.url + "gen-deb", "--suite", "stable", "--component",
        "main", "--arch", "amd64", "--name", "deb", "--dest", top / "volume")  # fmt: skip
    run(*COMMAND, "new-key", "--secret", top / "key", "--public", top / "key.pub")
    return top / "volume", top / "key", top / "key.pub"


def generate(mirrored: tuple[Path, Path, Path], name: str, *options: str) -> dict[str, Any]:
    volume, key, _ = mirrored
    arguments = [*COMMAND, "generate", "--dest", volume, "--from", "deb", "--name", name, "--signing-key", key]
    done = subprocess.run([*map(str, arguments), "--json", *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def apt(tmp_path: Path, run: Any) -> Callable[..., str]:
    for place in ("lists/partial", "cache/archives/partial", "etc/preferences.d"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "status").write_text("")
    settings = {
        "Dir::State": tmp_path,
        "Dir::State::status": tmp_path / "status",
        "Dir::Cache": tmp_path / "cache",
        "Dir::Etc": tmp_path / "etc",
        "Dir::Etc::SourceList": tmp_path / "lab.list",
        "Acquire::Languages": "en",
        "APT::Sandbox::User": "root",
    }
    return lambda program, *words: run(
        program, "-q", *(f"-o{name}={value}" for name, value in settings.items()), *words, directory=tmp_path
    )


def test_real_apt_sees_what_is_kept(mirrored: Any, apt: Callable[..., str], run: Any, tmp_path: Path) -> None:
    made = generate(mirrored, "deb-new", "--include", "lab-*", "--exclude", "lab-old", "--newest", "1")
    assert (made["state"], made["packages"], made["bytes_downloaded"]) == ("SYNCED", 2, 0)
    assert made["warnings"] == ["Contents is left out: they tell of packages that are not kept."]
    published = mirrored[0] / "published/deb-new"
    release = (published / "dists/stable/Release").read_text()
    assert "Valid-Until" not in release
    assert "Origin: Lab\n" in release
    run("gpgv", "--keyring", _binary(mirrored[2], tmp_path), published / "dists/stable/Release.gpg",
        published / "dists/stable/Release")  # fmt: skip
    (tmp_path / "lab.list").write_text(
        f"deb [arch=amd64 by-hash=force signed-by={mirrored[2]}] file:{published} stable main\n"
    )
    apt("apt-get", "update")
    assert set(apt("apt-cache", "pkgnames").split()) == {"lab-one", "lab-two"}
    assert "1.10" in apt("apt-cache", "policy", "lab-one")
    assert "1.9~rc1" not in apt("apt-cache", "policy", "lab-one")
    apt("apt-get", "download", "lab-two")
    (got,) = tmp_path.glob("*.deb")
    assert got.stat().st_size > 100


def _binary(key: Path, directory: Path) -> Path:
    import pysequoia

    target = directory / "key.gpg"
    target.write_bytes(bytes(pysequoia.Cert.from_file(str(key))))
    return target


def test_a_version_range_and_translations_that_follow(mirrored: Any) -> None:
    generate(mirrored, "deb-range", "--include", "lab-one < 1.10")
    shown = mirror_bench.tree_of(mirrored[0] / "published/deb-range")
    assert sorted(path for path in shown if path.startswith("pool/")) == [
        "pool/lab-one_1.0_all.deb", "pool/lab-one_1.9~rc1_all.deb",
    ]  # fmt: skip
    import gzip

    words = gzip.decompress(shown["dists/stable/main/i18n/Translation-en.gz"]).decode()
    assert "lab-one" in words
    assert "lab-two" not in words


def test_a_mirror_of_the_result_is_the_same_generation(mirrored: Any, upstream: Any, run: Any, tmp_path: Path) -> None:
    made = generate(mirrored, "deb-two", "--include", "lab-two")
    (upstream.root / "copied").symlink_to(mirrored[0] / "published/deb-two")
    run(*COMMAND, "init", "--dest", tmp_path / "other")
    copied = json.loads(
        run(*COMMAND, "sync", "--format", "deb", "--url", upstream.url + "copied", "--suite", "stable", "--component",
            "main", "--arch", "amd64", "--name", "deb-two", "--dest", tmp_path / "other", "--json", "--gpg-key",
            mirrored[2])
    )  # fmt: skip
    assert (copied["generation"], copied["packages"]) == (made["generation"], 1)
    manifests = [
        (volume / "generations/deb-two" / made["generation"] / "manifest.jsonl").read_bytes()
        for volume in (mirrored[0], tmp_path / "other")
    ]
    assert manifests[0] == manifests[1]
