from __future__ import annotations

import posixpath
from urllib import parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.mirror import failures, fileref


@pytest.mark.parametrize(
    ("given_path", "normal"),
    [
        ("a.rpm", "a.rpm"),
        ("./a.rpm", "a.rpm"),
        ("Packages//g/gtk+~1^2.rpm", "Packages/g/gtk+~1^2.rpm"),
        ("a/../b.rpm", "b.rpm"),
        ("ü/ 100%.rpm", "ü/ 100%.rpm"),
    ],
)
def test_paths_inside_the_tree_are_made_normal(given_path: str, normal: str) -> None:
    assert fileref.normal_path(given_path, what="test") == normal


@pytest.mark.parametrize(
    "path",
    ["", ".", "/etc/passwd", "../x", "a/../../x", "a/", "a\nb", "a\x00b", "http://x/y", "..\\x", "x" * 256,
     ".metadata/x", "\udcff"],
)  # fmt: skip
def test_paths_that_leave_the_tree_are_refused(path: str) -> None:
    with pytest.raises(failures.UnsafePathError):
        fileref.normal_path(path, what="test")


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b c", "%41", "ü"]), max_size=8).map("/".join))
def test_a_path_is_refused_or_stays_below_the_root(path: str) -> None:
    try:
        normal = fileref.normal_path(path, what="test")
    except failures.UnsafePathError:
        return
    assert not normal.startswith(("/", ".."))
    assert normal == posixpath.normpath(path)


@given(st.text(st.characters(blacklist_categories=["Cs"])))
def test_quoting_is_undone_by_a_web_server(path: str) -> None:
    assert parse.unquote(fileref.quoted_path(path)) == path


@pytest.mark.parametrize(("algorithm", "name"), [("sha256", "sha256"), ("SHA512", "sha512"), ("sha", "sha1")])
def test_checksums_are_read_by_any_spelling(algorithm: str, name: str) -> None:
    digest = "Ab" * (fileref.ALGORITHMS[name] // 2)
    assert str(fileref.parse_checksum(algorithm, digest, what="x")) == f"{name}:{digest.lower()}"


def test_md5_is_no_checksum() -> None:
    with pytest.raises(failures.WeakDigestError, match="md5"):
        fileref.parse_checksum("md5", "0" * 32, what="x")


@pytest.mark.parametrize("value", ["", "0" * 63, "g" * 64, "0" * 65])
def test_half_a_checksum_is_refused(value: str) -> None:
    with pytest.raises(failures.MetadataInvalidError):
        fileref.parse_checksum("sha256", value, what="x")


def test_package_times_differ_with_the_content_and_lie_in_the_past() -> None:
    assert fileref.package_mtime("0" * 64) != fileref.package_mtime("00000001" + "0" * 56)
    assert fileref.package_mtime("f" * 64) < 1_620_000_000
