import datetime
from pathlib import Path

import pytest

from stationmaster.agent import facts, inventory, pins, state
from stationmaster.agent.package_managers import apt_output, base, dnf, rpm, zypper
from stationmaster.agent.steps import outcome
from stationmaster.host.programs import Completed
from stationmaster.model import errors
from stationmaster.model.protocol import InstanceSource, Inventory, Package, PackageManager, SourceFormat

BASH = Package("bash", "5.2-1.el9", "x86_64")


def test_installed_rpms_leave_out_keys_and_write_epochs() -> None:
    text = "bash\t0\t5.2-1\tx86_64\t1700000000\ngpg-pubkey\t0\t1-2\t(none)\t1\nbind\t32\t9.16-1\tx86_64\tx\nbroken\n"
    moment = datetime.datetime.fromtimestamp(1700000000, datetime.UTC)
    assert rpm.parse_installed(text) == [
        Package("bash", "5.2-1", "x86_64", moment),
        Package("bind", "32:9.16-1", "x86_64"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "warning: %post(lab-scripted-001-1.0-1.noarch) scriptlet failed, exit status 1",
        "error: %prein(foo-1-1.x86_64) scriptlet failed, exit status 127",
        "Error in POSTIN scriptlet in rpm package foo",
    ],
)
def test_a_failed_scriptlet_is_found_although_the_program_says_complete(line: str) -> None:
    said = Completed(("dnf",), 0, f"Running transaction\n  {line}\nComplete!\n", "")
    assert [one.message for one in rpm.find_scriptlet_problems(said)] == [line]
    assert rpm.find_scriptlet_problems(Completed(("dnf",), 0, "  Running scriptlet: foo-1-1\nComplete!\n", "")) == []


def test_updates_by_dnf_are_joined_with_what_is_installed() -> None:
    text = "bash\t0\t5.3-1\tx86_64\tbase\nnew\t0\t1-1\tnoarch\tbase\nbind\t32\t9.18-1\tnoarch\tother\nnoise\n"
    found = dnf.parse_upgrades(text, {"base": "ocid.base"})
    current = {("bash", "x86_64"): BASH, ("bind", "x86_64"): Package("bind", "32:9.16-1", "x86_64")}
    assert [
        (one.name, one.version, one.available_version, one.source_id) for one in dnf.merge_updates(current, found)
    ] == [
        ("bash", "5.2-1.el9", "5.3-1", "ocid.base"),
        ("bind", "32:9.16-1", "32:9.18-1", None),
    ]


def test_installed_debs_are_those_whose_status_says_so(tmp_path: Path) -> None:
    (tmp_path / "libc6:amd64.list").write_text("")
    text = "libc6\t2.36-9\tamd64\tinstalled\ngone\t1\tall\tconfig-files\nbash\t5\tamd64\tinstalled\n"
    found = apt_output.parse_installed(text, tmp_path)
    assert [(one.name, one.time_installed is not None) for one in found] == [("bash", False), ("libc6", True)]


def test_updates_by_apt_are_replacements_only() -> None:
    text = (
        "Inst libc6 [2.36-9] (2.36-10 Debian:12.5/stable, Debian-Security:12 [amd64])\n"
        "Inst libfoo:i386 [1.0] (1.1 lab:lab [i386]) []\n"
        "Inst brand-new (1.0 Debian:12/stable [all])\nConf libc6 (2.36-10 Debian:12/stable [amd64])\n"
    )
    assert [
        (one.name, one.version, one.available_version, one.architecture) for one in apt_output.parse_upgrades(text)
    ] == [
        ("libc6", "2.36-9", "2.36-10", "amd64"),
        ("libfoo", "1.0", "1.1", "i386"),
    ]


@pytest.mark.parametrize(
    ("releases", "expected"),
    [
        ("Debian-Security:12/stable-security", True),
        ("Debian:12.5/stable, Debian-Security:12/stable-security", True),
        ("Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security", True),
        ("Debian-Security:12", True),
        ("Own:stable-security", True),
        ("Own:stable", False),
        ("Debian:12.5/stable", False),
        ("Ubuntu:24.04/noble-updates", False),
        ("Security tools:1/stable", False),
        ("", False),
    ],
)
def test_a_security_suite_is_known_by_its_name_or_label(releases: str, expected: bool) -> None:
    assert apt_output.is_security(releases) is expected
    line = f"Inst libc6 [2.36-9] (2.36-10 {releases} [amd64])"
    assert [one.name for one in apt_output.parse_security_upgrades(line)] == (["libc6"] if expected else [])


def test_security_suites_among_those_that_apt_has() -> None:
    text = (
        "Package files:\n 100 /var/lib/dpkg/status\n     release a=now\n"
        " 500 mirror+file:/etc/x.list stable/main amd64 Packages\n"
        "     release v=12.5,o=Debian,a=stable,n=bookworm,l=Debian,c=main,b=amd64\n     origin x\n"
    )
    assert not apt_output.has_security_suite(text)
    assert apt_output.has_security_suite(text.replace("a=stable", "a=stable-security"))
    assert apt_output.has_security_suite(text.replace("l=Debian,", "l=Debian-Security,"))


def test_the_source_of_a_candidate_is_read_from_apts_policy() -> None:
    text = """libc6:
  Installed: 2.36-9
  Candidate: 2.36-10
  Version table:
     2.36-10 500
        500 mirror+file:/etc/stationmaster/pinned/private.updates.1.list lab/main amd64 Packages
 *** 2.36-9 100
        100 /var/lib/dpkg/status
bash:
  Installed: 5
  Candidate: 5
  Version table:
 *** 5 100
        100 /var/lib/dpkg/status
removed:
  Installed: (none)
  Candidate: (none)
  Version table:
     1 -1
        100 /var/lib/dpkg/status
"""
    assert apt_output.parse_policy(text) == {"libc6": "private.updates.1", "bash": ""}


def test_updates_by_zypper() -> None:
    text = """<?xml version='1.0'?><stream><update-status version="0.6"><update-list>
<update kind="package" name="bash" edition="5.3-1" edition-old="5.2-1" arch="x86_64"><summary>s</summary>
<source url="http://x" alias="base"/></update>
<update kind="patch" name="p" edition="1" arch="noarch"><source alias="base"/></update>
</update-list></update-status></stream>"""
    (found,) = zypper.parse_updates(text, {"base": "ocid"})
    assert (found.name, found.version, found.available_version, found.source_id) == ("bash", "5.2-1", "5.3-1", "ocid")


@pytest.mark.parametrize("name", ["-y", "--installroot=/", "bash-", "", "a b", "a;b", "*", "../x", "bash\n"])
def test_names_that_are_no_packages_never_reach_a_command_line(name: str) -> None:
    with pytest.raises(errors.CallerError, match="no package name"):
        base.require_names(["bash", name])


def test_names_are_kept_in_order_and_each_once() -> None:
    assert base.require_names(["g++", "bash", "g++"]) == ("g++", "bash")


@pytest.mark.parametrize(
    "name", ["bash", "bash.x86_64", "bash-5.2", "bash-5.2-1.el9", "bash-5.2-1.el9.x86_64", "bash=5.2-1.el9"]
)
def test_a_package_is_found_by_each_of_its_names(name: str) -> None:
    assert outcome.matches(BASH, name)
    assert not outcome.matches(BASH, name + "x")


def test_changes_are_told_by_what_came_and_went() -> None:
    before = [Package("a", "1", "x"), Package("b", "1", "x"), Package("kernel", "1", "x")]
    after = [Package("a", "2", "x"), Package("c", "1", "x"), Package("kernel", "1", "x"), Package("kernel", "2", "x")]
    assert outcome.describe_changes(before, after) == [
        "Updated a (x): 1 -> 2", "Removed b (x): 1", "Installed c (x): 1", "Installed kernel (x): 2"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Error: Failed to download metadata for repo 'x': Cannot download repomd.xml", True),
        ("E: Failed to fetch http://x  Connection failed", True),
        ("Curl error (28): Timeout was reached", True),
        (
            "Error: Failed to download metadata for repo 'x': GPG verification is enabled, but signature not available",
            False,
        ),
        ("Error: Unable to find a match: x", False),
    ],
)
def test_only_bytes_that_did_not_come_are_worth_another_try(words: str, expected: bool) -> None:
    assert outcome.is_download_trouble(Completed(("dnf",), 1, "", words)) is expected


def test_os_release_and_the_choice_of_a_package_manager() -> None:
    fields = facts.parse_os_release(
        'NAME="Oracle Linux Server"\nID="ol"\nID_LIKE="fedora"\n# x\nBROKEN="\nVERSION_ID=9.4\n'
    )
    assert fields == {"NAME": "Oracle Linux Server", "ID": "ol", "ID_LIKE": "fedora", "VERSION_ID": "9.4"}
    nothing: frozenset[PackageManager] = frozenset()
    assert facts.choose_package_manager(fields, nothing) is PackageManager.DNF
    assert facts.choose_package_manager({"ID": "opensuse-leap"}, nothing) is PackageManager.ZYPPER
    assert facts.choose_package_manager({"ID": "x", "ID_LIKE": "ubuntu"}, nothing) is PackageManager.APT
    assert facts.choose_package_manager({}, frozenset({PackageManager.APT})) is PackageManager.APT
    with pytest.raises(errors.CallerError, match="Cannot tell"):
        facts.choose_package_manager({}, frozenset(PackageManager))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://lb:1/g/s/1/\n", "http://lb:1/g/s/1/"),
        ("# list\nhttps://lb:1/g/s/1", "https://lb:1/g/s/1/"),
        ("<html>not found</html>", None),
        ("", None),
        ("http://a/\nhttp://b/\n", None),
        ("ftp://a/", None),
    ],
)
def test_a_list_names_one_address_or_it_is_none(text: str, expected: str | None) -> None:
    assert pins.parse_list(text) == expected


def test_root_documents() -> None:
    def source(kind: SourceFormat, *suites: str) -> InstanceSource:
        return InstanceSource(source_id="s", repo_id="s", display_name="", format=kind, suites=list(suites))

    assert pins.root_documents(source(SourceFormat.RPM)) == ("repodata/repomd.xml",)
    assert pins.root_documents(source(SourceFormat.DEB, "lab")) == ("dists/lab/InRelease", "dists/lab/Release")
    assert pins.root_documents(source(SourceFormat.DEB, "./")) == ("InRelease", "Release")


def test_an_inventory_is_due_when_packages_changed_or_it_is_old() -> None:
    now = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
    seen = state.SeenInventory(stamp="a", time_taken=now, inventory=Inventory([], []))
    assert inventory.is_due(None, "a", now)
    assert not inventory.is_due(seen, "a", now + datetime.timedelta(minutes=59))
    assert inventory.is_due(seen, "b", now)
    assert inventory.is_due(seen, "a", now + datetime.timedelta(hours=1))
    # A clock that was set back must not keep an old inventory for ever.
    assert inventory.is_due(seen, "a", now - datetime.timedelta(minutes=1))
