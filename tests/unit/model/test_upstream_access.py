"""Lines of advancedRepoOptions about the way to an upstream: read, refused, masked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import desired, errors, protocol, repo_options, upstream_access

SECRET = "s3cret=x: y"
LOGIN = f"priority=5\nusername=me\npassword = {SECRET}\n"


def test_dnf_lines_become_the_way_to_the_upstream() -> None:
    text = LOGIN + "metalink=https://h/m?repo=x&arch=y\nsslclientcert=/c.pem\nsslclientkey=/k.pem\nsslcacert=/ca.pem"
    repo_options.require_rpm_options(text)
    assert upstream_access.access_of(text.splitlines()) == protocol.UpstreamAccess(
        metalink="https://h/m?repo=x&arch=y",
        username="me",
        password=SECRET,
        client_certificate="/c.pem",
        client_key="/k.pem",
        ca_file="/ca.pem",
    )
    assert upstream_access.access_of(["priority=5"]) is None
    for word, expected in (("1", True), ("Yes", True), ("0", False)):
        checked = upstream_access.access_of([f"mirror_gpgcheck = {word}"])
        assert checked == protocol.UpstreamAccess(is_each_package_checked=expected)


def test_deb_lines_do_so_too() -> None:
    text = "Suites: a\nComponents: main\nUsername: bearer\nPassword: token\nSslCaCert: /etc/ssl/vendor.pem"
    repo_options.require_deb_options(text)
    found = upstream_access.access_of(text.splitlines())
    assert found == protocol.UpstreamAccess(username="bearer", password="token", ca_file="/etc/ssl/vendor.pem")


@pytest.mark.parametrize(
    "lines",
    [
        f"password={SECRET}",
        "username=me",
        f"username=a:b\npassword={SECRET}",
        f"username=a\npassword={SECRET}\npassword={SECRET}",
        f"username=a\npassword={SECRET}\x07",
        "username=a\npassword=",
        "sslclientkey=/k",
        "sslclientcert=relative.pem",
        "sslcacert=/etc/../shadow",
        "mirrorlist=ftp://h/",
        "mirror_gpgcheck=maybe",
        "mirrorlist=https://u:s3cret@h/",
        "mirrorlist=https://h/\nmetalink=https://h/",
        "metalink=https://[h/",
    ],
)
@pytest.mark.parametrize("is_deb", [False, True])
def test_what_cannot_be_is_refused_and_not_shown(lines: str, *, is_deb: bool) -> None:
    text = lines.replace("=", ": ", 1) + "\nSuites: a\nComponents: main" if is_deb else lines
    check = repo_options.require_deb_options if is_deb else repo_options.require_rpm_options
    with pytest.raises(errors.CallerError) as caught:
        check(text)
    assert "s3cret" not in str(caught.value)


def test_lists_belong_to_rpm() -> None:
    with pytest.raises(errors.CallerError, match="RPM"):
        repo_options.require_deb_options("Suites: a\nComponents: main\nMirrorlist: https://h/")


def test_a_mask_stands_for_the_password_and_brings_it_back() -> None:
    shown = upstream_access.masked(LOGIN)
    assert shown == LOGIN.replace(SECRET, upstream_access.MASK)
    assert upstream_access.unmasked(shown or "", LOGIN) == LOGIN
    changed = (shown or "").replace("priority=5", "priority=7")
    assert upstream_access.unmasked(changed, LOGIN) == LOGIN.replace("priority=5", "priority=7")
    assert upstream_access.masked(None) is None
    for former in (None, "priority=5"):
        with pytest.raises(errors.CallerError, match="masks a password"):
            upstream_access.unmasked(shown or "", former)


@given(st.text())
def test_masking_changes_nothing_else(text: Any) -> None:
    shown = upstream_access.masked(text) or ""
    if not any(upstream_access.is_access_line(line) for line in text.splitlines()):
        assert shown == text
    assert upstream_access.unmasked(shown, text).splitlines() == text.splitlines() or "********" in text


def test_instances_are_told_nothing_of_it() -> None:
    facts = desired.SourceFacts(
        id="s", repo_id="s", display_name="s", format=protocol.SourceFormat.RPM, url="http://h/", arch_type="X86_64",
        access=protocol.UpstreamAccess(username="me", password=SECRET),
    )  # fmt: skip
    told = desired.instance_desired("i", None, [(facts, True)], desired.HubFacts(_hub(), ""))
    assert SECRET not in repr(told)
    assert "me" not in told.sources[0].options
    assert SECRET not in repr(facts)


def _hub() -> protocol.HubAddress:
    return protocol.HubAddress(url="https://hub", host="hub", port=443)
