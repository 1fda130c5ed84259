import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stationmaster.lab import deb_plan, debian_suite, lab, record, roots, rpm_plan, upstream_deb, upstream_rpm, web
from stationmaster.lab.addressing import HostSpec
from stationmaster.lab.host import LabHost
from stationmaster.model import errors

pytestmark = pytest.mark.lab

CACHE = record.BASE / "cache"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Lab]:
    base = tmp_path_factory.mktemp("lab")
    base.chmod(0o755)
    with lab.Lab.build((HostSpec("up"), HostSpec("rpm"), HostSpec("deb"), HostSpec("bare")), base=base / "b") as built:
        yield built


@pytest.fixture(scope="module")
def site(made: lab.Lab) -> Path:
    return made["up"].directory / "site"


@pytest.fixture(scope="module")
def rpm(site: Path, tmp_path_factory: pytest.TempPathFactory) -> upstream_rpm.RpmUpstream:
    small = rpm_plan.plan_packages(12, big_bytes=1 << 20)
    return upstream_rpm.prepare(site, tmp_path_factory.mktemp("cache"), small)


@pytest.fixture(scope="module")
def deb(site: Path, tmp_path_factory: pytest.TempPathFactory) -> upstream_deb.DebUpstream:
    small = deb_plan.plan_packages(6, big_bytes=1 << 20)
    return upstream_deb.prepare(site, tmp_path_factory.mktemp("cache"), small)


@pytest.fixture(scope="module")
def server(made: lab.Lab, rpm: upstream_rpm.RpmUpstream) -> web.UpstreamServer:
    up = web.UpstreamServer(made["up"], rpm.site)
    up.start()
    return up


@pytest.fixture(scope="module")
def apt_root(made: lab.Lab, request: pytest.FixtureRequest) -> Path:
    request.getfixturevalue("server")
    return roots.make_overlay_root(made, made["deb"])


def point_dnf(root: Path, key: Path) -> None:
    (root / "etc/lab.asc").write_bytes(key.read_bytes())
    (root / "etc/yum.repos.d/lab.repo").write_text(
        "[lab]\nname=lab\nbaseurl=http://up.lab/rpm/\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\n"
        "gpgkey=file:///etc/lab.asc\nskip_if_unavailable=False\n"
    )


def run_in(host: LabHost, root: Path, *arguments: str) -> str:
    answer = host.run(
        arguments, root=root, timeout=120, environment={"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    )
    assert answer.is_success, answer.stdout + answer.stderr
    return answer.stdout


def test_dnf_installs_and_updates_with_all_signature_checks_on(
    made: lab.Lab, rpm: upstream_rpm.RpmUpstream, server: web.UpstreamServer
) -> None:
    root = roots.make_overlay_root(made, made["rpm"], os_release=roots.RPM_OS_RELEASE)
    point_dnf(root, rpm.key.public)
    run_in(made["rpm"], root, "dnf", "-y", "install", "lab-app-001", rpm_plan.SCRIPTED)
    assert (root / "opt/lab/lab-app-001/version").read_text() == "1.0\n"
    assert (root / f"opt/lab/{rpm_plan.SCRIPTED}/configured").read_text() == "1.0\n"
    assert not Path("/opt/lab").exists()
    assert "labmod" in run_in(made["rpm"], root, "dnf", "module", "list")
    assert "Lab basics" in run_in(made["rpm"], root, "dnf", "group", "list", "--hidden")
    rpm.publish_update({"lab-app-001": "2.0"})
    assert "LABSA-2026:0001" in run_in(made["rpm"], root, "dnf", "--refresh", "updateinfo", "list")
    run_in(made["rpm"], root, "dnf", "-y", "--refresh", "update")
    assert (root / "opt/lab/lab-app-001/version").read_text() == "2.0\n"
    assert server.requests()["/rpm/Packages/lab-app-001-2.0-1.noarch.rpm"] == 1


@pytest.mark.usefixtures("server")
def test_a_package_that_was_tampered_with_is_refused_by_dnf(made: lab.Lab, rpm: upstream_rpm.RpmUpstream) -> None:
    root = roots.make_install_root(made["bare"])
    point_dnf(root, rpm.key.public)
    package = rpm.base / "Packages" / "lab-lib-002-1.0-1.noarch.rpm"
    good = package.read_bytes()
    package.unlink()
    package.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    command = [
        "dnf",
        "-y",
        f"--installroot={root}",
        f"--setopt=reposdir={root}/etc/yum.repos.d",
        "install",
        "lab-lib-002",
    ]
    bare = made["bare"]
    (root / "etc/yum.repos.d/lab.repo").write_text(
        (root / "etc/yum.repos.d/lab.repo").read_text().replace("file:///etc/", f"file://{root}/etc/")
    )
    assert not bare.run(command, timeout=120).is_success
    package.write_bytes(good)
    assert bare.run(command, timeout=120).is_success
    assert (root / "opt/lab/lab-lib-002/version").read_text() == "1.0\n"


def test_apt_installs_and_updates_from_the_built_repository(
    made: lab.Lab, deb: upstream_deb.DebUpstream, apt_root: Path
) -> None:
    (apt_root / "etc/apt/lab.asc").write_bytes(deb.key.public.read_bytes())
    source = apt_root / "etc/apt/sources.list.d/lab.sources"
    source.write_text(
        "Types: deb\nURIs: http://up.lab/deb\nSuites: lab\nComponents: main\nSigned-By: /etc/apt/lab.asc\n"
    )
    run_in(made["deb"], apt_root, "apt-get", "update")
    run_in(made["deb"], apt_root, "apt-get", "-y", "install", "labd-app-001")
    assert (apt_root / "opt/lab/labd-app-001/version").read_text() == "1.0\n"
    deb.publish_update({"labd-app-001": "2.0"})
    run_in(made["deb"], apt_root, "apt-get", "update")
    run_in(made["deb"], apt_root, "apt-get", "-y", "install", "--only-upgrade", "labd-app-001")
    assert (apt_root / "opt/lab/labd-app-001/version").read_text() == "2.0\n"
    source.unlink()


def test_debians_own_suite_serves_an_update_to_apt(made: lab.Lab, site: Path, apt_root: Path) -> None:
    try:
        suite = debian_suite.prepare(site, CACHE)
    except errors.HostError as exc:
        pytest.skip(f"this machine's apt has no such suite: {exc}")
    stanza = roots.choose_update_candidate(suite.stanzas, made["deb"], apt_root)
    roots.install_former_deb(made, made["deb"], apt_root, stanza)
    (apt_root / "etc/apt/debian.asc").write_bytes((site / suite.key_path).read_bytes())
    source = apt_root / "etc/apt/sources.list.d/debian.sources"
    source.write_text(
        f"Types: deb\nURIs: http://up.lab/{suite.name}\nSuites: {suite.suite}\nComponents: main\n"
        "Signed-By: /etc/apt/debian.asc\n"
    )
    run_in(made["deb"], apt_root, "apt-get", "update")
    run_in(made["deb"], apt_root, "apt-get", "-y", "install", "--only-upgrade", stanza.name)
    shown = run_in(made["deb"], apt_root, "dpkg-query", "-W", "-f", "${Version}", stanza.name)
    assert shown == stanza.version
    outside = subprocess.run(["dpkg-query", "-W", stanza.name], capture_output=True, check=False)
    assert outside.returncode != 0
    source.unlink()


def test_a_cache_is_used_again(rpm: upstream_rpm.RpmUpstream, tmp_path: Path) -> None:
    cache = rpm.key.directory.parent.parent
    again = upstream_rpm.prepare(tmp_path, cache, rpm_plan.plan_packages(12, big_bytes=1 << 20))
    name = "lab-app-002-1.0-1.noarch.rpm"
    assert (again.base / "Packages" / name).samefile(rpm.base / "Packages" / name)
    assert rpm.key.secret.stat().st_mode & 0o077 == 0


def test_repository_root_is_signed_by_the_published_key(rpm: upstream_rpm.RpmUpstream, tmp_path: Path) -> None:
    root = rpm.base / "repodata" / "repomd.xml"
    tmp_path.chmod(0o700)
    gpg = ["gpg", "--batch", "--quiet", "--homedir", str(tmp_path)]
    subprocess.run([*gpg, "--import", rpm.site / "keys" / "rpm.asc"], check=True)
    subprocess.run([*gpg, "--verify", f"{root}.asc", root], check=True)
    types = root.read_text()
    assert all(f'type="{kind}"' in types for kind in ("primary", "group", "modules", "updateinfo"))
    subprocess.run(["gpgconf", "--homedir", str(tmp_path), "--kill", "all"], check=False)


def test_removed_packages_leave_the_index(rpm: upstream_rpm.RpmUpstream) -> None:
    rpm.remove_packages(["lab-lib-001"])
    assert not (rpm.base / "Packages" / "lab-lib-001-1.0-1.noarch.rpm").exists()
    assert (rpm.base / "Packages" / "lab-app-002-1.0-1.noarch.rpm").exists()
