"""Who may join by the answer of a hub that listens: nobody while a station may show what the hub does not know (R8)."""

from collections.abc import Mapping

import pytest

from stationmaster.model import listening

KNOWN = {"a": 3, "b": 7}


@pytest.mark.parametrize(
    ("own", "others", "may"),
    [
        ({"a": 3, "b": 7}, [], True),
        ({}, [], True),
        ({"a": 3}, [{"b": 6}, {}], True),
        ({"a": 3}, [{"b": 8}], False),
        ({"a": 3}, [{"b": 7}, None], False),
        ({"a": 4}, [], False),
        ({"c": 1}, [], False),
    ],
    ids=[
        "it shows what is visible",
        "it shows nothing yet",
        "others are behind",
        "another is ahead of the hub",
        "another has not been heard",
        "it is ahead of the hub itself",
        "nothing was visible when the backup was made",
    ],
)
def test_who_may_join(own: Mapping[str, int], others: list[Mapping[str, int] | None], *, may: bool) -> None:
    assert listening.may_join(KNOWN, own, others) is may
