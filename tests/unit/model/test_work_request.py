import itertools

import pytest

from stationmaster.model import errors
from stationmaster.model.work_request import (
    ENDS,
    OPEN,
    Status,
    combined_percentage,
    combined_status,
    require_transition,
)


def test_ends_are_final_and_everything_else_reaches_one() -> None:
    assert {Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.SKIPPED} == ENDS
    for old, new in itertools.product(ENDS, Status):
        with pytest.raises(errors.IncorrectStateError):
            require_transition("w", old, new)
    for old in OPEN:
        require_transition("w", old, Status.SUCCEEDED)
        require_transition("w", old, Status.FAILED)


def test_a_refusal_names_both_ends() -> None:
    with pytest.raises(errors.IncorrectStateError, match="w is IN_PROGRESS and cannot become WAITING"):
        require_transition("w", Status.IN_PROGRESS, Status.WAITING)


@pytest.mark.parametrize(
    ("children", "status"),
    [
        ([Status.WAITING, Status.ACCEPTED], Status.ACCEPTED),
        ([Status.SUCCEEDED, Status.ACCEPTED], Status.IN_PROGRESS),
        ([Status.FAILED, Status.IN_PROGRESS], Status.IN_PROGRESS),
        ([Status.SUCCEEDED, Status.FAILED], Status.FAILED),
        ([Status.SUCCEEDED, Status.SKIPPED], Status.SUCCEEDED),
        ([Status.SKIPPED], Status.SKIPPED),
        ([], Status.SUCCEEDED),
    ],
)
def test_a_parent_follows_its_children(children: list[Status], status: Status) -> None:
    assert combined_status(children) is status


def test_percentage_counts_an_end_in_full() -> None:
    assert combined_percentage([(Status.FAILED, 10.0), (Status.IN_PROGRESS, 50.0)]) == 75.0
    assert combined_percentage([]) == 100.0
