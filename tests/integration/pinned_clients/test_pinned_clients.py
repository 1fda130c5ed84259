"""Real dnf, zypper and apt, pinned (R3): signed packages over HTTP and HTTPS, across switches, stations, removals."""

# ruff: noqa: ANN001 - what the fixtures of conftest are lies in a module that tests cannot import
import dataclasses

import pytest

from stationmaster.model.protocol import PackageManager

RPM = "ocid1.osmhsoftwaresource.oc1.test.rpms"
DEB = "ocid1.osmhsoftwaresource.oc1.test.debs"


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a package manager is told to do, as people do it; ``at`` joins a name and a version."""

    manager: PackageManager
    source: str
    read: tuple[str, ...]
    install: tuple[str, ...]
    ask: tuple[str, ...]
    at: str
    prefix: str


KINDS = (
    Kind(
        PackageManager.DNF, RPM, ("dnf", "-y", "makecache"), ("dnf", "-y", "install"), ("dnf", "install"), "-", "lab-",
    ),
    Kind(
        PackageManager.ZYPPER, RPM, ("zypper", "-n", "--gpg-auto-import-keys", "refresh"),
        ("zypper", "-n", "install"), ("zypper", "install"), "-", "lab-",
    ),
    Kind(
        PackageManager.APT, DEB, ("apt-get", "-o", "APT::Update::Error-Mode=any", "update"),
        ("apt-get", "-y", "install"), ("apt-get", "install"), "=", "labd-",
    ),
)  # fmt: skip
EACH = pytest.mark.parametrize("kind", KINDS, ids=[kind.manager.value for kind in KINDS])


@pytest.mark.parametrize("is_tls", [False, True], ids=["http", "https"])
def test_zypper_installs_signed_packages(clients, is_tls: bool) -> None:
    files = clients.point(PackageManager.ZYPPER, is_tls=is_tls)
    assert "gpgcheck=1\nrepo_gpgcheck=1" in files["/etc/zypp/repos.d/stationmaster.repo"]
    clients.must("zypper", "-n", "--gpg-auto-import-keys", "refresh")
    name = "lab-lib-002" if is_tls else "lab-lib-001"
    clients.must("zypper", "-n", "install", name)
    assert clients.version(name) == "1.0"
    if is_tls:
        # Nothing but that directory makes zypper trust the mirror: with another CA there it refuses.
        (trusted,) = (clients.root / "etc/stationmaster/trust").iterdir()
        trusted.write_text(trusted.read_text().replace("A", "B", 1))
        refused = clients.run("zypper", "-n", "refresh", "--force")
        assert refused.returncode != 0
        assert "ssl" in (refused.stdout + refused.stderr).lower(), refused.stdout + refused.stderr


def test_zypper_refuses_what_another_key_signed(clients, group) -> None:
    files = clients.point(PackageManager.ZYPPER)
    clients.run("rpm", "-e", "--allmatches", "gpg-pubkey")  # keys are trusted for all repositories, once imported
    key = next(path for path in files if path.endswith(".asc"))
    clients.write({key: group.debs.key.public.read_text()})
    refused = clients.run("zypper", "-n", "--gpg-auto-import-keys", "refresh")
    assert refused.returncode != 0, refused.stdout
    assert "signature" in (refused.stdout + refused.stderr).lower()


@EACH
def test_what_a_client_chose_before_the_switch_it_downloads_after_it_from_the_other_station(
    clients, group, kind: Kind
) -> None:
    name, version = f"{kind.prefix}app-002", group.publish()
    before = group.switch()
    clients.point(kind.manager)
    group.balancer.use("s0")
    clients.must(*kind.read)
    (needed,) = group.needed_by(name)
    # Takes the key, which nobody is asked about any more; and Debian's zypper does not work on an empty database.
    clients.must(*kind.install, needed, f"{kind.prefix}big-001")
    clients.remove(name, needed)
    begun = clients.begin(*kind.ask, f"{name}{kind.at}{version}{'-1' if kind.at == '-' else ''}")
    begun.read_until("[Y/n]", "[y/N]", "(y)")
    group.publish(without=version)
    after = group.switch()
    assert after[kind.source] != before[kind.source]
    group.balancer.use("s1")
    asked = len(group.members[1].requests())
    begun.answer("y")
    assert clients.version(name) == version, "what was chosen, though it is gone upstream"
    fetched = [one for one in group.members[1].requests()[asked:] if f"{name}-" in one or f"{name}_" in one]
    assert [one.rpartition(" ")[2] for one in fetched] == ["200"], fetched


@EACH
def test_a_client_whose_generation_was_dropped_goes_on_by_itself(clients, group, kind: Kind) -> None:
    group.publish()
    before = group.switch()
    clients.point(kind.manager)
    clients.must(*kind.read)
    clients.must(*kind.install, f"{kind.prefix}big-001")
    for _ in range(2):
        version = group.publish()
        group.switch()
    for one in group.members:
        one.drop_former()
        assert not (one.mirror / "generations" / kind.source / before[kind.source]).exists()
    # Below the base that it knows: no root, so that it begins with the list next time; packages by the newest manifest.
    base = f"http://127.0.0.1:{group.ports.http}/g/{kind.source}/{before[kind.source]}"
    kept = f"{kind.prefix}lib-001"
    root, package = {
        RPM: ("repodata/repomd.xml", f"Packages/{kept}-1.0-1.noarch.rpm"),
        DEB: ("dists/lab/InRelease", f"pool/main/l/{kept}/{kept}_1.0_all.deb"),
    }[kind.source]
    assert [clients.status(f"{base}/{path}") for path in (root, package)] == ["404", "200"]
    clients.remove(kept)
    clients.must(*kind.install, kept)
    assert clients.version(kept) == "1.0", "with the metadata that it has"
    clients.age_caches()
    name = f"{kind.prefix}app-002"
    clients.remove(name)  # dnf is content with an older one
    if kind.manager is PackageManager.APT:  # the others read anew by themselves what is old
        clients.must(*kind.read)
    clients.must(*kind.install, name)
    assert clients.version(name) == version
