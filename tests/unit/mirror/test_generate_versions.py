"""Order of versions. The table is what rpm.labelCompare and apt_pkg.version_compare answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.mirror.generate import versions

RPM = [
    ("1.0", "1.0", 0), ("1.0", "2.0", -1), ("1.10", "1.9", 1), ("1.0.0", "1.0", 1), ("1.0~rc1", "1.0", -1),
    ("1.0^git1", "1.0", 1), ("1.0^git1", "1.0.1", -1), ("1.0~rc1^git1", "1.0~rc1", 1), ("1.a", "1.1", -1),
    ("00Z", "0Z", 0), ("1_0", "1.0", 0), ("2.0.1a", "2.0.1", 1), ("xyz.4", "8", -1), ("1.0^", "1.0^~", 1),
    ("9" * 5000, "10" + "0" * 5000, -1),
]  # fmt: skip
DEB = [
    ("1.0", "1.0", 0), ("1.10", "1.9", 1), ("1:0.5", "9", 1), ("1.0~rc1", "1.0", -1), ("1.0-1", "1.0-2", -1),
    ("1.0-1+deb12u1", "1.0-1", 1), ("1.0a", "1.0+", -1), ("2-1-1", "2-1", 1), ("0:1", "1", 0), ("1.0~~", "1.0~", -1),
    ("9" * 5000, "8" * 5000, 1), ("1:" + "9" * 5000, "1", 1),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other", "order"), RPM)
def test_rpm(one: str, other: str, order: int) -> None:
    assert versions.compare_rpm_parts(one, other) == order
    assert versions.compare_rpm_parts(other, one) == -order


@pytest.mark.parametrize(("one", "other", "order"), DEB)
def test_deb(one: str, other: str, order: int) -> None:
    assert versions.compare_deb(one, other) == order
    assert versions.compare_deb(other, one) == -order


def test_what_is_not_given_is_not_compared() -> None:
    assert versions.compare_rpm("0:5.1-6.el9", "5.1") == 0
    assert versions.compare_rpm("0:5.1-6.el9", "5.1-7") == -1
    assert versions.compare_rpm("1:5.1-6.el9", "5.1") == 1
    assert versions.compare_rpm("1:5.1-6.el9", "1:5.1") == 0


words = st.text("0129~^.+abZ_-:", max_size=8)


@given(words, words, words)
@pytest.mark.parametrize("compare", [versions.compare_rpm_parts, versions.compare_deb])
def test_it_is_an_order(compare: versions.Compare, one: str, other: str, third: str) -> None:
    assert compare(one, other) == -compare(other, one)
    if compare(one, other) >= 0 and compare(other, third) >= 0:
        assert compare(one, third) >= 0
