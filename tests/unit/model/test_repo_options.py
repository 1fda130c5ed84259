from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import errors, repo_options


@pytest.mark.parametrize("text", ["", "\n\n", "module_hotfixes=1", "priority = 5\nmodule_hotfixes=1", "exclude=a b=c"])
def test_dnf_options_are_taken(text: Any) -> None:
    repo_options.require_rpm_options(text)


@pytest.mark.parametrize(
    "line", ["baseurl=x", "gpgcheck=0", "enabled = 1", "sslverify=0", "[x]", "# note", "word", "=x", "A B=1", "a\tb=1"]
)
def test_dnf_lines_that_contradict_or_are_none_are_refused(line: Any) -> None:
    with pytest.raises(errors.CallerError, match="advancedRepoOptions"):
        repo_options.require_rpm_options(f"priority=5\n{line}")


@pytest.mark.parametrize(
    "text",
    [
        "Suites: a\nComponents: main",
        "suites: a b/updates\ncomponents: main main/debian-installer\nArchitectures: amd64",
        "Suites: ./",
        "Suites: flat/dir/",
        "Suites: a\n\nComponents: main\n",
    ],
)
def test_deb_lines_are_taken(text: Any) -> None:
    repo_options.require_deb_options(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "MissingParameter"),
        ("Components: main", "MissingParameter"),
        ("Suites: a", "MissingParameter"),
        ("Suites:\nComponents: main", "InvalidParameter"),
        ("Suites: ./\nComponents: main", "InvalidParameter"),
        ("Suites: a ./\nComponents: main", "InvalidParameter"),
        ("Suites: a\nComponents: main\nTrusted: yes", "InvalidParameter"),
        ("Suites: a\nComponents: main\nSigned-By: /x", "InvalidParameter"),
        ("Suites: a/../b\nComponents: main", "InvalidParameter"),
        ("Suites: a;rm\nComponents: main", "InvalidParameter"),
        ("Suites: a\nsuites: b\nComponents: main", "InvalidParameter"),
    ],
)
def test_deb_lines_that_are_wrong_or_missing_are_refused(text: Any, code: Any) -> None:
    with pytest.raises(errors.CallerError) as caught:
        repo_options.require_deb_options(text)
    assert caught.value.code == code


@given(st.text())
def test_any_text_is_options_or_a_callers_error(text: Any) -> None:
    for check in (repo_options.require_rpm_options, repo_options.require_deb_options):
        with contextlib.suppress(errors.CallerError):
            check(text)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], True),
        (["repo_gpgcheck=0"], False),
        (["repo_gpgcheck = No"], False),
        (["repo_gpgcheck=false", "repo_gpgcheck=1"], True),
        (["module_hotfixes=0", "repo_gpgcheck_timeout=0"], True),
        (["repo_gpgcheck=maybe"], True),
    ],
)
def test_a_switch_is_off_only_when_it_says_so(options: Any, expected: Any) -> None:
    assert repo_options.is_on(options, "repo_gpgcheck", default=True) is expected
