"""dnf, zypper and apt, real and with private roots, see the same from the mirror as from the upstream.

Both are served by the same nginx, so that names go over HTTP; at first, and after an incremental sync.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

COMMAND = [str(Path(sys.executable).with_name("stationmaster")), "mirror"]
SPEC = """\
Name: %(name)s
Epoch: %(epoch)s
Version: %(version)s
Release: 1
Summary: A package <of> a "test" & more
License: MIT
BuildArch: noarch
Provides: lab-feature = 1
%%description
Nothing.
%%files
"""
COMPS = """\
<?xml version="1.0" encoding="UTF-8"?>
<comps><group><id>lab</id><name>Lab group</name><description>x</description><default>true</default>
<uservisible>true</uservisible><packagelist>
<packagereq type="mandatory">agree-a</packagereq></packagelist></group></comps>
"""
MODULES = """\
---
document: modulemd-stream
version: 2
data: {name: lab, stream: "1", version: 1, context: aaaaaaaa, arch: noarch, summary: x, description: x,
       license: {module: [MIT]}, artifacts: {rpms: [agree-m-0:1-1.noarch]}, profiles: {common: {rpms: [agree-m]}}}
...
"""
UPDATEINFO = """\
<?xml version="1.0" encoding="UTF-8"?>
<updates><update from="x" status="final" type="security" version="1"><id>LAB-2026:1</id><title>A fix</title>
<issued date="2026-01-01 00:00:00"/><severity>Critical</severity><description>x</description><references/>
<pkglist><collection short="c"><name>c</name><package name="agree-c++"
version="1.0~rc1^git2" release="1" epoch="2" arch="noarch" src="x.src.rpm">
<filename>x.noarch.rpm</filename></package></collection></pkglist></update></updates>
"""


def build(top: Path, name: str, version: str, epoch: str = "0") -> list[Path]:
    top.mkdir(parents=True, exist_ok=True)
    (top / "x.spec").write_text(SPEC % {"name": name, "version": version, "epoch": epoch})
    done = subprocess.run(
        ["rpmbuild", "-ba", "--define", f"_topdir {top}", top / "x.spec"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return sorted(top.rglob("*.rpm"))


@pytest.fixture(scope="module")
def volume(upstream: Any, run: Any) -> Iterator[Path]:
    """Below what nginx serves, so that clients reach it as they do in life."""
    place: Path = upstream.root / "agreed-volume"
    run(*COMMAND, "init", "--dest", place)
    yield place
    shutil.rmtree(place)


def sync(run: Any, volume: Path, *options: object) -> None:
    run(*COMMAND, "sync", "--dest", volume, "--json", *options)


@pytest.fixture(scope="module")
def rpm_states(
    upstream: Any, volume: Path, run: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], None]:
    """Bring upstream and mirror to the first or the second state."""
    root: Path = upstream.root / "agree-rpm"
    work = tmp_path_factory.mktemp("agree")
    (root / "Packages/ä folder+").mkdir(parents=True)
    (work / "comps.xml").write_text(COMPS)
    (work / "modules.yaml").write_text(MODULES)
    (work / "updateinfo.xml").write_text(UPDATEINFO)

    def bring(state: int) -> None:
        if state == 1:
            for name, version, epoch in (
                ("agree-a", "1", "0"),
                ("agree-c++", "1.0~rc1^git2", "2"),
                ("agree-m", "1", "0"),
            ):
                for path in build(work / name, name, version, epoch):
                    target = "Packages" if name == "agree-a" else "Packages/ä folder+"
                    shutil.copy(path, root / target / path.name.replace("agree-c++", "agree c%2b+"))
        else:
            for path in build(work / "second", "agree-a", "2"):
                shutil.copy(path, root / "Packages")
            next((root / "Packages").glob("agree-a-1-1.noarch.rpm")).unlink()
        run("createrepo_c", "-q", "-g", work / "comps.xml", root)
        for kind in ("modules.yaml", "updateinfo.xml"):
            run("modifyrepo_c", work / kind, root / "repodata")
        sync(run, volume, "--format", "rpm", "--url", upstream.url + "agree-rpm", "--name", "agree")

    return bring


def dnf(run: Any, home: Path, url: str, *arguments: str) -> list[str]:
    (home / "log").mkdir(parents=True, exist_ok=True)
    answer: str = run(
        "dnf", "-q", "--installroot", home / "root", "--releasever", "1", "--setopt=reposdir=/nonexistent",
        f"--setopt=cachedir={home}/cache", f"--setopt=logdir={home}/log", f"--setopt=persistdir={home}/state",
        "--setopt=module_platform_id=platform:el9", "--repofrompath", f"lab,{url}", "--setopt=lab.gpgcheck=0",
        "--repo", "lab", *arguments,
    )  # fmt: skip
    return sorted(line for line in answer.replace(url.rstrip("/"), "").splitlines() if line.strip())


QUERIES = (
    ("repoquery", "--qf", "%{name} %{epoch}:%{version}-%{release}.%{arch} %{size} %{relativepath}"),
    ("module", "list"),
    ("repoquery", "--advisory", "LAB-2026:1"),
    ("group", "info", "lab"),
    ("repoquery", "--arch", "src"),
)


@pytest.mark.parametrize("state", [1, 2])
def test_dnf(upstream: Any, rpm_states: Callable[[int], None], run: Any, tmp_path: Path, state: int) -> None:
    rpm_states(state)
    homes = {"agree-rpm/": tmp_path / "upstream", "agreed-volume/published/agree/": tmp_path / "mirror"}
    for query in QUERIES if state == 2 else QUERIES[:1]:
        theirs, ours = (dnf(run, home, upstream.url + path, *query) for path, home in homes.items())
        assert theirs == ours
        assert theirs, query
    mirror = homes["agreed-volume/published/agree/"]
    url = upstream.url + "agreed-volume/published/agree/"
    dnf(run, mirror, url, "install", "-y", "--downloadonly", "agree-a", "agree-c++")
    got = {path.name for path in mirror.rglob("*.rpm")}
    assert got == {f"agree-a-{state}-1.noarch.rpm", "agree c%2b+-1.0~rc1^git2-1.noarch.rpm"}


def test_zypper(upstream: Any, rpm_states: Callable[[int], None], run: Any, tmp_path: Path) -> None:
    if not list((upstream.root / "agree-rpm/Packages").glob("*.rpm")):
        rpm_states(1)
    seen = []
    for number, path in enumerate(("agree-rpm/", "agreed-volume/published/agree/")):
        zypper = ("zypper", "--root", tmp_path / str(number), "--non-interactive", "--no-gpg-checks")
        run(*zypper, "addrepo", "--no-gpgcheck", upstream.url + path, "lab")
        run(*zypper, "refresh")
        seen.append(
            [
                run(*zypper, *query)
                for query in (("search", "-s", "-t", "package"), ("search", "-s", "-t", "srcpackage"))
            ]
        )
    assert seen[0] == seen[1]
    assert "agree-c++" in seen[0][0]
    assert "agree-a" in seen[0][1]


@pytest.fixture(scope="module")
def deb_states(
    upstream: Any, volume: Path, run: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], None]:
    root: Path = upstream.root / "agree-deb"
    (root / "pool/ä+").mkdir(parents=True)

    def package(name: str, version: str) -> None:
        work = tmp_path_factory.mktemp("deb")
        (work / "DEBIAN").mkdir()
        (work / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: t <t@example.com>\nDescription: ä t\n"
        )
        run(
            "dpkg-deb", "--root-owner-group", "-b", work, root / f"pool/ä+/{name}_{version.replace(':', '%3a')}_all.deb"
        )

    def source(name: str) -> None:
        lines = {}
        for ending in ("orig.tar.gz", "debian.tar.xz"):
            path = root / f"pool/{name}_1.{ending}"
            path.write_bytes(ending.encode() * 10)
            lines[path.name] = (run("sha256sum", path).split()[0], run("md5sum", path).split()[0], path.stat().st_size)
        (root / f"pool/{name}_1-1.dsc").write_text(
            f"Format: 3.0 (quilt)\nSource: {name}\nBinary: {name}\nArchitecture: all\nVersion: 1-1\n"
            "Maintainer: t <t@example.com>\nChecksums-Sha256:\n"
            + "".join(f" {sha} {size} {file}\n" for file, (sha, _, size) in lines.items())
            + "Files:\n" + "".join(f" {md5} {size} {file}\n" for file, (_, md5, size) in lines.items())
        )  # fmt: skip

    def bring(state: int) -> None:
        package("agree-one" if state == 1 else "agree-three", f"1:{state}.0+lab~1")
        package("agree-two", f"{state}")
        source("agree-source")
        suite = root / "dists/stable"
        for directory, kind in (("binary-amd64", "packages"), ("source", "sources")):
            index = suite / "main" / directory
            index.mkdir(parents=True, exist_ok=True)
            text = run("apt-ftparchive", kind, "pool", directory=root)
            (index / kind.capitalize()).write_text(text)
            run("xz", "-kf", index / kind.capitalize())
        release = "APT::FTPArchive::Release::"
        settings = {"Acquire-By-Hash": "yes", "Components": "main", "Architectures": "amd64", "Codename": "stable"}
        (suite / "InRelease").unlink(missing_ok=True)
        (suite / "Release").unlink(missing_ok=True)
        text = run(
            "apt-ftparchive", *(f"-o={release}{name}={value}" for name, value in settings.items()), "release", suite
        )
        (suite / "Release").write_text(text)
        upstream.sign_inline(suite / "Release", suite / "InRelease")
        wanted = ("--suite", "stable", "--component", "main", "--arch", "amd64", "source")
        where = ("--url", upstream.url + "agree-deb", *wanted)
        sync(run, volume, "--format", "deb", *where, "--name", "agree-deb", "--gpg-key", upstream.key)

    return bring


def apt(home: Path, url: str, key: Path) -> tuple[str, ...]:
    for place in ("lists/partial", "cache/archives/partial", "etc/preferences.d"):
        (home / place).mkdir(parents=True)
    (home / "status").write_text("")
    (home / "lab.list").write_text(
        "".join(f"{kind} [signed-by={key}] {url} stable main\n" for kind in ("deb", "deb-src"))
    )
    settings = {
        "Dir::State": home, "Dir::State::status": home / "status", "Dir::Cache": home / "cache",
        "Dir::Etc": home / "etc",
        "Dir::Etc::SourceList": home / "lab.list", "APT::Sandbox::User": "root", "APT::Architecture": "amd64",
    }  # fmt: skip
    return tuple(f"-o{name}={value}" for name, value in settings.items())


@pytest.mark.parametrize("state", [1, 2])
def test_apt(upstream: Any, deb_states: Callable[[int], None], run: Any, tmp_path: Path, state: int) -> None:
    deb_states(state)
    seen = []
    for name, path in (("upstream", "agree-deb"), ("mirror", "agreed-volume/published/agree-deb")):
        url = upstream.url + path
        options = apt(tmp_path / name, url, upstream.key)
        run("apt-get", "-q", *options, "update")
        available = run("apt-cache", *options, "dumpavail")
        uris = run("apt-get", *options, "--print-uris", "--download-only", "source", "agree-source")
        binary = run("apt-get", *options, "--print-uris", "download", "agree-two")
        seen.append([re.sub(re.escape(url), "", text) for text in (available, uris, binary)])
        got = tmp_path / f"got-{name}"
        got.mkdir()
        run("apt-get", "-q", *options, "download", "agree-two", "agree-one", directory=got)
        run("apt-get", "-q", *options, "--download-only", "source", "agree-source", directory=got)
        assert len(list(got.iterdir())) == 5
        seen[-1].append(sorted((file.name, file.read_bytes()) for file in got.iterdir()))
    assert seen[0] == seen[1]
    assert ("agree-three" in seen[0][0]) is (state == 2)
    assert "agree-source_1.orig.tar.gz" in seen[0][1]
