"""Generated RPM sources as real dnf sees them: signed root, exactly the kept packages, modules, groups, advisories."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

COMMAND = [str(Path(sys.executable).with_name("stationmaster")), "mirror"]
Dnf = Callable[..., list[str]]

SPEC = """\
Name: %(name)s
Version: %(version)s
Release: %(release)s
Summary: A package of a test
License: MIT
BuildArch: noarch
%%description
Nothing.
%%prep
%%build
%%install
mkdir -p %%{buildroot}/usr/share/%(name)s
echo %(version)s > %%{buildroot}/usr/share/%(name)s/version
%%files
/usr/share/%(name)s
"""
PACKAGES = [
    ("plain", "1.0", "1"),
    ("plain", "2.0", "1"),
    ("plain", "10.0", "1"),
    ("other", "1.0", "1"),
    ("third", "1.0", "1"),
    ("app", "1.5", "1.module1"),
    ("app", "2.0", "1.module2"),
    ("applib", "2.0", "1.module2"),
    ("solo", "1.0", "1.module1"),
]


def stream(name: str, stream: str, artifacts: list[str], version: int = 1) -> str:
    names = sorted({artifact.rsplit("-", 2)[0] for artifact in artifacts})
    listed = "".join(f"\n      - {artifact}" for artifact in artifacts)
    return f"""\
---
document: modulemd
version: 2
data:
  name: {name}
  stream: {stream}
  version: {version}
  context: aaaaaaaa
  arch: noarch
  summary: S
  description: >-
    D
  license: {{module: [MIT]}}
  dependencies:
  - {{}}
  profiles:
    common:
      rpms: [{", ".join(names)}]
  artifacts:
    rpms:{listed}
...
"""


def defaults(name: str, stream: str) -> str:
    return (
        f'---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: {name}\n  stream: "{stream}"\n'
        f"  profiles:\n    {stream}: [common]\n...\n"
    )


MODULES = (
    stream("app", '"1.10"', ["app-0:1.5-1.module1.noarch", "app-0:1.5-1.module1.src"])
    + stream("app", "2", ["app-0:2.0-1.module2.noarch", "applib-0:2.0-1.module2.noarch"])
    + stream("solo", "1", ["solo-0:1.0-1.module1.noarch"])
    + defaults("app", "2")
    + defaults("solo", "1")
)
COMPS = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">
<comps>
  <group><id>core</id><name>Core</name><description/><default>true</default><uservisible>true</uservisible>
    <packagelist>
      <packagereq type="mandatory">plain</packagereq>
      <packagereq type="optional">other</packagereq>
    </packagelist>
  </group>
  <group><id>extra</id><name>Extra</name><description/><default>true</default><uservisible>true</uservisible>
    <packagelist><packagereq type="mandatory">third</packagereq></packagelist>
  </group>
  <environment><id>desk</id><name>Desk</name><description/><display_order>1</display_order>
    <grouplist><groupid>core</groupid><groupid>extra</groupid></grouplist>
  </environment>
</comps>
"""


def advisory(name: str, packages: list[tuple[str, str, str]]) -> str:
    listed = "".join(
        f'<package name="{n}" version="{v}" release="{r}" epoch="0" arch="noarch" src="{n}.src.rpm">'
        f"<filename>{n}-{v}-{r}.noarch.rpm</filename></package>"
        for n, v, r in packages
    )
    return (
        f'<update from="t" status="final" type="security" version="1"><id>{name}</id><title>{name}</title>'
        f'<issued date="2024-01-01 00:00:00"/><severity>Important</severity><description>d</description>'
        f'<pkglist><collection short="c"><name>c</name>{listed}</collection></pkglist></update>\n'
    )


ADVISORIES = (
    "<updates>"
    + advisory("ADV-1", [("plain", "2.0", "1"), ("other", "1.0", "1")])
    + advisory("ADV-2", [("third", "1.0", "1")])
    + advisory("ADV-3", [("solo", "1.0", "1.module1")])
    + "</updates>"
)


@pytest.fixture(scope="module")
def mirrored(upstream: Any, run: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A volume with the source ``el``, and a signing key."""
    root: Path = upstream.root / "el"
    (root / "Packages").mkdir(parents=True)
    top = tmp_path_factory.mktemp("build")
    for name, version, release in PACKAGES:
        spec = top / f"{name}-{version}.spec"
        spec.write_text(SPEC % {"name": name, "version": version, "release": release})
        run("rpmbuild", "-bb", "--define", f"_topdir {top}", "--define", f"_rpmdir {root}/Packages", spec)
    for name, text in (("comps.xml", COMPS), ("modules.yaml", MODULES), ("updateinfo.xml", ADVISORIES)):
        (top / name).write_text(text)
    run("createrepo_c", "-q", "-g", top / "comps.xml", root)
    run("modifyrepo_c", "--mdtype=modules", top / "modules.yaml", root / "repodata")
    run("modifyrepo_c", "--mdtype=updateinfo", top / "updateinfo.xml", root / "repodata")
    volume = top / "volume"
    run(*COMMAND, "init", "--dest", volume)
    run(*COMMAND, "sync", "--format", "rpm", "--url", upstream.url + "el", "--name", "el", "--dest", volume)
    run(*COMMAND, "new-key", "--secret", top / "key", "--public", top / "key.pub")
    return volume, top / "key", top / "key.pub"


def generate(mirrored: tuple[Path, Path, Path], name: str, *options: str, status: int = 0) -> dict[str, Any]:
    volume, key, _ = mirrored
    arguments = [*COMMAND, "generate", "--dest", volume, "--from", "el", "--name", name, "--signing-key", key, "--json"]
    done = subprocess.run([*map(str, arguments), *options], capture_output=True, text=True, check=False)
    assert done.returncode == status, (done.stdout, done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def dnf(mirrored: tuple[Path, Path, Path], tmp_path: Path, run: Any) -> Iterator[Callable[..., Dnf]]:
    volume, _, public = mirrored
    (tmp_path / "dnf.conf").write_text("[main]\ngpgcheck=0\n")

    def of(name: str, key: Path = public) -> Dnf:
        (tmp_path / "repos").mkdir(exist_ok=True)
        (tmp_path / "repos" / f"{name}.repo").write_text(
            f"[{name}]\nname={name}\nbaseurl=file://{volume}/published/{name}\nenabled=1\ngpgcheck=0\n"
            f"repo_gpgcheck=1\ngpgkey=file://{key}\nskip_if_unavailable=False\n"
        )

        def call(*arguments: str) -> list[str]:
            out = run(
                "dnf", "-q", "-y", f"--config={tmp_path}/dnf.conf", "--releasever", "9",
                "--installroot", tmp_path / "root",
                f"--setopt=reposdir={tmp_path}/repos", f"--setopt=cachedir={tmp_path}/cache", "--setopt=plugins=0",
                f"--setopt=persistdir={tmp_path}/persist", "--setopt=module_platform_id=platform:el9",
                "--repo", name, *arguments, home=tmp_path,
            )  # fmt: skip
            return [line for line in out.splitlines() if line.strip()]

        return call

    yield of
    for home in (tmp_path, *(one.parent for one in (tmp_path / "cache").rglob("pubring.kbx"))):
        run("gpgconf", "--kill", "gpg-agent", home=home)  # librepo leaves one behind


def packages_of(call: Dnf, *options: str) -> set[str]:
    return set(call("repoquery", "--qf", "%{name}-%{version}", *options))


def advisories_of(call: Dnf) -> set[tuple[str, str]]:
    """What dnf lists for what is installed: a mark of what is installed, advisory, severity, package."""
    found = [line.split()[-3:] for line in call("updateinfo", "list", "--all")]
    return {(name, package) for name, _, package in found}


def test_without_a_choice_everything_is_there(mirrored: Any, dnf: Callable[..., Dnf]) -> None:
    made = generate(mirrored, "all")
    assert (made["state"], made["packages"], made["bytes_downloaded"], made["warnings"]) == ("SYNCED", 9, 0, [])
    call = dnf("all")
    assert len(packages_of(call, "--disable-modular-filtering")) == 9
    assert "app-1.5" not in packages_of(call)  # the default stream is 2
    listed = "\n".join(call("module", "list"))
    assert "1.10" in listed
    assert "2 [d]" in listed
    assert "solo" in listed
    call("install", "plain-1.0", "other", "third")
    assert advisories_of(call) == {("ADV-1", "plain-2.0-1.noarch"), ("ADV-1", "other-1.0-1.noarch"),
                                   ("ADV-2", "third-1.0-1.noarch")}  # fmt: skip
    again = generate(mirrored, "all")
    assert (again["state"], again["generation"]) == ("UNCHANGED", made["generation"])


def test_what_is_left_out_is_left_out_everywhere(mirrored: Any, dnf: Callable[..., Dnf]) -> None:
    made = generate(mirrored, "some", "--exclude", "third", "other", "module:solo", "app.noarch >= 2", "nothing*")
    assert made["warnings"] == ["The exclude filter 'nothing*' matches nothing."]
    call = dnf("some")
    assert packages_of(call, "--disable-modular-filtering") == {
        "plain-1.0", "plain-2.0", "plain-10.0", "app-1.5", "applib-2.0",
    }  # fmt: skip
    listed = "\n".join(call("module", "list"))
    assert "solo" not in listed
    assert "app" in listed
    assert packages_of(call) == {"plain-1.0", "plain-2.0", "plain-10.0", "applib-2.0"}
    groups = "\n".join(call("group", "list", "--hidden"))
    assert "Core" in groups
    assert "Desk" in groups
    assert "Extra" not in groups
    info = call("group", "info", "core")
    assert any("plain" in line for line in info)
    assert not any("other" in line for line in info)
    call("install", "plain-1.0")
    assert advisories_of(call) == {("ADV-1", "plain-2.0-1.noarch")}


def test_a_stream_that_went_takes_its_default_with_it(mirrored: Any, dnf: Callable[..., Dnf]) -> None:
    generate(mirrored, "one", "--include", "module:app:1.10", "plain", "--newest", "1")
    call = dnf("one")
    assert packages_of(call, "--disable-modular-filtering") == {"app-1.5", "plain-10.0"}
    assert packages_of(call) == {"plain-10.0"}  # modular still, and no stream of it is on
    listed = "\n".join(call("module", "list"))
    assert "1.10" in listed
    assert "[d]" not in listed.partition("Hint:")[0]
    assert [line for line in call("module", "info", "app:1.10") if "app-0:1.5-1.module1.noarch" in line]


def test_the_newest_of_each_package_and_stream(mirrored: Any, dnf: Callable[..., Dnf]) -> None:
    generate(mirrored, "new", "--newest", "1")
    assert packages_of(dnf("new"), "--disable-modular-filtering") == {
        "plain-10.0", "other-1.0", "third-1.0", "app-1.5", "app-2.0", "applib-2.0", "solo-1.0",
    }  # fmt: skip


def test_a_list_and_a_saved_manifest(mirrored: Any, dnf: Callable[..., Dnf], run: Any, tmp_path: Path) -> None:
    wanted = tmp_path / "list"
    wanted.write_text("plain-2.0-1.noarch # with a reason\n\nthird\nabsent\n")
    made = generate(mirrored, "listed", "--package-list", str(wanted))
    assert made["warnings"] == ["The package list names absent, which no input has."]
    assert packages_of(dnf("listed")) == {"plain-2.0", "third-1.0"}
    saved = run(*COMMAND, "manifest", "--dest", mirrored[0], "--name", "listed")
    assert [line.partition("@")[0] for line in saved.splitlines()] == ["plain-0:2.0-1.noarch", "third-0:1.0-1.noarch"]
    (tmp_path / "manifest").write_text(saved)
    again = generate(mirrored, "again", "--manifest", str(tmp_path / "manifest"))
    assert again["generation"] == made["generation"]  # the same bytes by another way
    (tmp_path / "manifest").write_text(saved.replace("2.0-1", "3.0-1"))
    refused = generate(mirrored, "again", "--manifest", str(tmp_path / "manifest"), status=1)
    assert refused["error"]["code"] == "ManifestIncomplete"
    assert "plain-0:3.0-1.noarch@sha256:" in refused["error"]["message"]
    assert packages_of(dnf("again")) == {"plain-2.0", "third-1.0"}


def test_a_preview_changes_nothing(mirrored: Any, run: Any) -> None:
    options = ("--dest", mirrored[0], "--from", "el", "--name", "seen", "--include", "plain", "absent", "--newest", "1")
    shown = run(*COMMAND, "generate", *options, "--dry-run")
    assert [line.partition("@")[0] for line in shown.splitlines()] == ["plain-0:10.0-1.noarch"]
    found = json.loads(run(*COMMAND, "generate", *options, "--dry-run", "--json"))
    assert (found["state"], found["packages"], found["kept"]) == ("PENDING", 1, shown.splitlines())
    assert found["warnings"] == ["The include filter 'absent' matches nothing."]
    assert not (mirrored[0] / "published/seen").exists()
    assert not (mirrored[0] / "generations/seen").exists()
    generate(mirrored, "seen", "--include", "plain", "--newest", "1")
    assert run(*COMMAND, "manifest", "--dest", mirrored[0], "--name", "seen") == shown


def test_it_installs(mirrored: Any, dnf: Callable[..., Dnf], tmp_path: Path) -> None:
    generate(mirrored, "some-more", "--include", "plain", "module:app")
    call = dnf("some-more")
    call("install", "plain", "app", "applib")
    assert (tmp_path / "root/usr/share/plain/version").read_text().strip() == "10.0"
    assert (tmp_path / "root/usr/share/app/version").read_text().strip() == "2.0"


def test_dnf_refuses_it_by_another_key(mirrored: Any, dnf: Callable[..., Dnf], upstream: Any) -> None:
    generate(mirrored, "all")
    with pytest.raises(AssertionError, match="GPG signature verification error"):
        dnf("all", upstream.key)("repoquery")


def test_usage_and_refusals(mirrored: Any, tmp_path: Path) -> None:
    volume, key, _ = mirrored
    assert generate(mirrored, "none", "--include", "absent", status=1)["error"]["code"] == "NothingSelected"
    assert generate(mirrored, "none", "--include", "absent", "--allow-empty")["packages"] == 0
    base = [*COMMAND, "generate", "--dest", volume, "--name", "x", "--from", "el"]
    (tmp_path / "list").write_text("plain\n")
    (tmp_path / "open").write_bytes(key.read_bytes())
    (tmp_path / "open").chmod(0o644)
    for options, word in (
        (["--signing-key", key, "--include", "a b"], "no filter"),
        (["--signing-key", key, "--include", "plain", "--package-list", tmp_path / "list"], "two answers"),
        (["--signing-key", key, "--newest", "2", "--manifest", tmp_path / "list"], "no line of a manifest"),
        (["--signing-key", tmp_path / "open"], "chmod 600"),
        (["--signing-key", tmp_path / "absent"], "Cannot read"),
        ([], "give --signing-key"),
        (["--signing-key", key, "--from", "el"], "named once"),
    ):
        done = subprocess.run(list(map(str, base + options)), capture_output=True, text=True, check=False)
        assert done.returncode == 2, (options, done.stderr)
        assert word in done.stderr


def test_real_zypper_trusts_it_and_sees_the_same(mirrored: Any, run: Any, tmp_path: Path) -> None:
    volume, _, public = mirrored
    generate(mirrored, "zypp", "--include", "plain >= 2", "other", "--newest", "1")
    repos = tmp_path / "root/etc/zypp/repos.d"
    repos.mkdir(parents=True)
    (repos / "zypp.repo").write_text(
        f"[zypp]\nname=zypp\nenabled=1\nbaseurl=dir:{volume}/published/zypp\ntype=rpm-md\n"
        f"repo_gpgcheck=1\npkg_gpgcheck=0\ngpgkey=file://{public}\n"
    )
    zypper = ("zypper", "--root", tmp_path / "root", "--non-interactive", "--gpg-auto-import-keys")
    refreshed = run(*zypper, "refresh")
    assert "unsigned" not in refreshed.lower()
    rows = [[cell.strip() for cell in line.split("|")] for line in run(*zypper, "search", "-s").splitlines()]
    found = {(row[1], row[3]) for row in rows if len(row) > 4 and row[2] == "package"}
    assert found == {("plain", "10.0-1"), ("other", "1.0-1")}
    assert {row[1] for row in rows if len(row) > 4 and row[2] == "patch"} == {"ADV-1"}
