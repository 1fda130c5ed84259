from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stationmaster.model import errors, ocid


@pytest.mark.parametrize("kind", list(ocid.Kind))
@pytest.mark.parametrize("region", ["", "us-ashburn-1"])
def test_what_is_minted_is_an_ocid_and_new(kind: Any, region: Any) -> None:
    one, other = ocid.mint(kind, region), ocid.mint(kind, region)
    assert ocid.require_ocid(one, field="id") == one != other
    assert one.startswith(f"ocid1.{kind.value}.oc1.{region}.")


@pytest.mark.parametrize("text", ["ocid1.tenancy.oc1..x", "ocid1.instance.oc1.phx.abc", "ocid1.user.oc2-x.r-1.a-b_c.d"])
def test_foreign_ones_are_taken_by_shape(text: Any) -> None:
    assert ocid.require_ocid(text, field="id") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "ocid1",
        "ocid2.a.b.c.d",
        "ocid1.a.b.c.",
        "ocid1.A.oc1..x",
        "ocid1.a.oc1..x/y",
        "ocid1.a.oc1..x\n",
        "ocid1.a.oc1..x y",
        "ocid1.a.oc1.." + "x" * 201,
        " ocid1.a.oc1..x",
        "ocid1.a.oc1..é",
    ],
)
def test_what_is_none_is_refused_naming_the_field(text: Any) -> None:
    with pytest.raises(errors.CallerError, match="stationId"):
        ocid.require_ocid(text, field="stationId")


@given(st.text())
def test_any_text_is_an_ocid_or_a_callers_error(text: Any) -> None:
    with contextlib.suppress(errors.CallerError):
        assert ocid.require_ocid(text, field="id") == text
