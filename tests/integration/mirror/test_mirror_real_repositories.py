"""Real repositories, made by the real programs, behind a real nginx; mirrored by the command, read by dnf and apt."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stationmaster.testing import mirror_bench

COMMAND = [str(Path(sys.executable).with_name("stationmaster")), "mirror"]
MODULES = """\
---
document: modulemd-stream
version: 2
data: {name: lab, stream: "1", version: 1, context: aaaaaaaa, arch: noarch, summary: x, description: x,
       license: {module: [MIT]}}
...
"""


def sync(dest: Path, *options: object, status: int = 0) -> dict[str, Any]:
    arguments = [*COMMAND, "sync", "--dest", dest, "--json", *options]
    done = subprocess.run([str(one) for one in arguments], capture_output=True, text=True, check=False)
    assert done.returncode == status, (done.stdout, done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="session")
def rpm_root(upstream: Any, build_rpms: Callable[[str], list[Path]], run: Any) -> Path:
    root: Path = upstream.root / "rpm"
    (root / "Packages").mkdir(parents=True)
    for rpm in build_rpms("1.0~rc1^git2"):
        shutil.copy(rpm, root / "Packages")
    (root.parent / "modules.yaml").write_text(MODULES)
    run("createrepo_c", "-q", "--xz", root)
    run("modifyrepo_c", "--mdtype=modules", root.parent / "modules.yaml", root / "repodata")
    upstream.sign_detached(root / "repodata/repomd.xml")
    return root


def test_rpm(upstream: Any, rpm_root: Path, volume: Path, build_rpms: Any, run: Any, tmp_path: Path) -> None:
    options = ("--format", "rpm", "--url", upstream.url + "rpm", "--name", "lab", "--gpg-key", upstream.key)
    first = sync(volume, *options)
    assert (first["state"], first["packages"], first["error"]) == ("SYNCED", 2, None)
    assert mirror_bench.tree_of(volume / "published/lab") == mirror_bench.tree_of(rpm_root)
    again = sync(volume, *options)
    assert (again["state"], again["requests"]) == ("UNCHANGED", 2)

    for rpm in build_rpms("1.1"):
        shutil.copy(rpm, rpm_root / "Packages")
    (rpm_root / "Packages" / "lab-1.0~rc1^git2-1.noarch.rpm").unlink()
    run("createrepo_c", "-q", rpm_root)
    bad = sync(volume, *options, status=1)
    assert bad["error"]["code"] == "SignatureInvalid"  # createrepo_c left the former signature there
    upstream.sign_detached(rpm_root / "repodata/repomd.xml")
    second = sync(volume, *options)
    assert (second["state"], second["packages"]) == ("SYNCED", 3)
    shown = mirror_bench.tree_of(volume / "published/lab")
    assert {**shown, **mirror_bench.tree_of(rpm_root)} == shown
    assert json.loads(run(*COMMAND, "verify", "--dest", volume, "--json"))["state"] == "OK"

    answer = run(
        "dnf", "-q", "--installroot", tmp_path / "root", "--releasever", "1", "--setopt=reposdir=/nonexistent",
        f"--setopt=cachedir={tmp_path}/cache", "--repofrompath", f"lab,file://{volume}/published/lab",
        "--setopt=lab.repo_gpgcheck=0", "--repo", "lab", "repoquery", "--qf", "%{name}-%{version}",
    )  # fmt: skip
    assert set(answer.split()) == {"lab-1.1", "lab-c++-1.1"} | ({"lab-c++-1.0~rc1^git2"} & set(answer.split()))


@pytest.fixture(scope="session")
def deb_root(upstream: Any, tmp_path_factory: pytest.TempPathFactory, run: Any) -> Path:
    root: Path = upstream.root / "deb"
    index = root / "dists/stable/main/binary-amd64"
    index.mkdir(parents=True)
    (root / "pool").mkdir()
    for name in ("lab-one", "lab-two"):
        work = tmp_path_factory.mktemp("deb")
        (work / "DEBIAN").mkdir()
        (work / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: 1:1.0+lab~1\nArchitecture: all\nMaintainer: t <t@example.com>\nDescription: t\n"
        )
        run("dpkg-deb", "--root-owner-group", "-b", work, root / f"pool/{name}_1.0+lab~1_all.deb")
    (index / "Packages").write_text(run("apt-ftparchive", "packages", "pool", directory=root))
    run("xz", "-k", index / "Packages")
    run("gzip", "-k", index / "Packages")
    release = "APT::FTPArchive::Release::"
    settings = {"Acquire-By-Hash": "yes", "Components": "main", "Architectures": "amd64", "Codename": "stable"}
    options = [f"-o={release}{name}={value}" for name, value in settings.items()]
    text = run("apt-ftparchive", *options, "release", root / "dists/stable")
    (root / "dists/stable/Release").write_text(text)
    (index / "Packages").unlink()  # listed, and not there: as on every real archive
    upstream.sign_inline(root / "dists/stable/Release", root / "dists/stable/InRelease")
    return root


def test_deb(upstream: Any, deb_root: Path, volume: Path, run: Any, tmp_path: Path) -> None:
    options = ("--format", "deb", "--url", upstream.url + "deb", "--suite", "stable", "--component", "main",
               "--arch", "amd64", "--name", "lab", "--gpg-key", upstream.key)  # fmt: skip
    first = sync(volume, *options)
    assert (first["state"], first["packages"], first["error"]) == ("SYNCED", 2, None)
    shown = mirror_bench.tree_of(volume / "published/lab")
    assert {**shown, **mirror_bench.tree_of(deb_root)} == shown
    assert (sync(volume, *options)["state"], sync(volume, *options)["requests"]) == ("UNCHANGED", 1)

    for place in ("lists/partial", "cache/archives/partial", "etc/preferences.d", "out"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "status").write_text("")
    sources = tmp_path / "lab.list"
    sources.write_text(f"deb [arch=amd64 signed-by={upstream.key}] file:{volume}/published/lab stable main\n")
    settings = {
        "Dir::State": tmp_path,
        "Dir::State::status": tmp_path / "status",
        "Dir::Cache": tmp_path / "cache",
        "Dir::Etc": tmp_path / "etc",
        "Dir::Etc::SourceList": sources,
        "APT::Sandbox::User": "root",
    }
    apt = ("apt-get", "-q", *(f"-o{name}={value}" for name, value in settings.items()))
    run(*apt, "update")
    run(*apt, "download", "lab-one", directory=tmp_path / "out")
    (got,) = (tmp_path / "out").glob("*.deb")
    assert got.read_bytes() == (deb_root / "pool/lab-one_1.0+lab~1_all.deb").read_bytes()

    status = json.loads(run(*COMMAND, "status", "--dest", volume, "--json"))
    (held,) = status["sources"]
    assert (held["published"], held["generations"][0]["packages"]) == (first["generation"], 2)
    cleaned = json.loads(run(*COMMAND, "clean", "--dest", volume, "--dry-run", "--json"))
    assert [one["is_removed"] for one in cleaned["verdicts"]] == [False]
    assert "published" in run(*COMMAND, "status", "--dest", volume)
    assert "the newest" in run(*COMMAND, "clean", "--dest", volume)


def test_usage_and_refusals(upstream: Any, rpm_root: Path, tmp_path: Path, volume: Path) -> None:
    url = upstream.url + "rpm"
    del rpm_root
    unmarked = sync(tmp_path, "--format", "rpm", "--url", url, "--name", "x", status=1)
    assert unmarked["error"]["code"] == "NotAVolume"
    assert "mirror init" in unmarked["error"]["message"]
    assert sync(volume, "--format", "rpm", "--url", url + "/none", "--name", "x", status=1)["error"]["code"] == (
        "UpstreamUnavailable"
    )
    for options in (
        ["--format", "rpm", "--url", "ftp://h/", "--name", "x"],
        ["--format", "rpm", "--url", url, "--name", "../x"],
        ["--format", "rpm", "--url", url, "--name", "x", "--suite", "s"],
        ["--format", "deb", "--url", url, "--name", "x"],
        ["--format", "rpm", "--url", url, "--name", "x", "--gpg-key", str(tmp_path / "none")],
    ):
        done = subprocess.run([*COMMAND, "sync", "--dest", volume, *options], capture_output=True, check=False)
        assert done.returncode == 2, (options, done.stderr)
