"""Numbers that no station can show any more: none above the lowest shown, none of the newest two."""

import pytest

from stationmaster.model import retained

NUMBERS = [(1, "a"), (2, "b"), (3, "a"), (4, "c"), (5, "d")]


@pytest.mark.parametrize(
    ("shown", "left"),
    [
        ([5, 5], [3, 2, 1]),
        ([5, 3], [2, 1]),
        ([5, 1], []),
        ([], []),
    ],
    ids=["all show the newest", "one is behind", "one shows the first", "nobody shows anything"],
)
def test_only_what_lies_below_all_that_is_shown_is_left(shown: list[int], left: list[int]) -> None:
    assert retained.numbers_left(NUMBERS, shown) == left


def test_the_newest_two_generations_stay_under_whatever_numbers() -> None:
    assert retained.numbers_left([(1, "a"), (2, "b"), (3, "a"), (4, "b")], [4]) == []
