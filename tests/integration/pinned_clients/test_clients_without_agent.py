"""The files of docs/operations.md for clients without agent: real dnf, zypper, apt, while generations switch (R3)."""

# ruff: noqa: ANN001 - what the fixtures of conftest are lies in a module that tests cannot import
import re
import subprocess
import threading
from pathlib import Path

RPM = "ocid1.osmhsoftwaresource.oc1.test.rpms"
DEB = "ocid1.osmhsoftwaresource.oc1.test.debs"
GUIDE = Path(__file__).parents[3] / "docs/operations.md"
SWITCHES = 6
PACKAGES = ("lab-lib-001", "lab-lib-002", "labd-lib-001")
RUNS = (
    (
        "dnf -y --refresh makecache",
        "dnf -y install lab-lib-001",
    ),
    (
        "zypper -n --gpg-auto-import-keys refresh --force",
        "zypper -n install lab-lib-002",
    ),
    (
        "apt-get -o APT::Update::Error-Mode=any update",
        "apt-get -y install labd-lib-001",
    ),
)


def texts(heading: str) -> dict[str, str]:
    """The files that a section of the guide says, by path; the commands that stand before all of them by ``""``."""
    section = GUIDE.read_text().partition(f"{heading}\n")[2]
    section = re.split(r"^##", section, maxsplit=1, flags=re.MULTILINE)[0]
    blocks = [
        re.sub(r"^    ", "", one, flags=re.MULTILINE) for one in re.findall(r"(?:^    .*\n)+", section, re.MULTILINE)
    ]
    found = {one.partition("\n")[0].removeprefix("# "): one for one in blocks if one.startswith("# /etc/")}
    return found or {"": blocks[0]}


def follow_guide(clients, group, heading: str) -> None:
    """As a person would who copies: the commands, then the files, with this group's name, ports and sources."""

    def adapted(text: str, source: str) -> str:
        for word, here in (
            ("updates.example.com", "127.0.0.1"), (":17443", f":{group.ports.https}"), ("SOURCE", source),
            ("Suites: bookworm", "Suites: lab"), ("app", source.rpartition(".")[2]),
        ):  # fmt: skip
            text = text.replace(word, here)
        return text

    clients.write({"/root/ca.pem": group.hub.ca_pem})
    for source in (RPM, DEB):
        done = clients.run("sh", "-ec", "cd /root\n" + adapted(texts("## A client without agent")[""], source))
        assert done.returncode == 0, done.stderr
    files = texts(heading)
    assert len(files) >= 3
    clients.write({path: adapted(text, DEB if "/apt/" in path else RPM) for path, text in files.items()})
    pinned = texts("### With the list: one generation for each run")
    trust = "/etc/apt/apt.conf.d/90app"
    clients.write({trust: adapted(pinned[trust], DEB)})


def test_with_the_list(clients, group) -> None:
    follow_guide(clients, group, "### With the list: one generation for each run")
    clients.remove(*PACKAGES)
    for run in RUNS:
        for command in run:
            clients.must(*command.split())
    asked = [one for member in group.members for one in member.requests() if "/u/" in one]
    assert asked == []


def test_without_the_list_nothing_fails_while_generations_switch(clients, group) -> None:
    """Round robin by connection: indexes come from one station, what they name from the other, which may be behind."""
    follow_guide(clients, group, "### Without the list")
    failed: list[subprocess.CompletedProcess[str]] = []
    counted = [0] * len(RUNS)

    def publish() -> None:
        for _ in range(SWITCHES):
            group.publish()
            group.switch()

    publisher = threading.Thread(target=publish)
    publisher.start()
    while publisher.is_alive():
        clients.remove(*PACKAGES)
        for number, run in enumerate(RUNS):
            for command in run:
                done = clients.run(*command.split())
                failed += [done] if done.returncode else []
            counted[number] += 1
    publisher.join()
    assert failed == []
    assert min(counted) >= 2, counted
    assert any(f"GET /u/{RPM}/" in one for member in group.members for one in member.requests())


def test_zypper_without_the_list_takes_no_package_that_the_given_key_did_not_sign(clients, group) -> None:
    follow_guide(clients, group, "### Without the list")
    clients.remove(*PACKAGES)
    for known in clients.run("rpm", "-qa", "gpg-pubkey*").stdout.split():
        clients.must("rpm", "-e", known)
    clients.write({"/etc/stationmaster-mirror/rpms.asc": group.debs.key.public.read_text()})
    clients.must("zypper", "-n", "--gpg-auto-import-keys", "refresh", "--force")
    refused = clients.run("zypper", "-n", "--gpg-auto-import-keys", "install", "lab-lib-002")
    assert refused.returncode != 0
    assert "gpgkey=file:/etc/stationmaster-mirror/rpms.asc" in refused.stdout, "the key that did not sign it"
    assert clients.version("lab-lib-002") == ""


def test_what_an_index_of_any_kept_generation_names_is_there_and_plain_names_are_of_one(clients, group) -> None:
    for _ in range(3):
        group.publish()
        group.switch()
    member = group.members[0]
    for source in (RPM, DEB):
        trees = sorted((member.mirror / "generations" / source).glob("*/tree"))
        assert len(trees) >= 3
        for tree in trees:
            named = [path for path in tree.rglob("*") if re.search(r"/by-hash/.*/|/[0-9a-f]{64}-", str(path))]
            paths = [str(path.relative_to(tree)) for path in named if path.is_file()]
            assert paths
            for one in group.members:
                base = f"http://127.0.0.1:{one.direct.http}/u/{source}"
                assert {clients.status(f"{base}/{path}") for path in paths} == {"200"}
