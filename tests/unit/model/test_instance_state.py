import datetime

import pytest

from stationmaster.model.instance_state import InstanceStatus, Thresholds, instance_status

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("minutes", "status"),
    [
        (0, InstanceStatus.NORMAL),
        (29, InstanceStatus.NORMAL),
        (30, InstanceStatus.WARNING),
        (24 * 60 - 1, InstanceStatus.WARNING),
        (24 * 60, InstanceStatus.UNREACHABLE),
    ],
)
def test_silence_turns_active_into_inactive_into_offline(minutes: int, status: InstanceStatus) -> None:
    heard = NOW - datetime.timedelta(minutes=minutes)
    assert instance_status(heard, NOW, Thresholds()) is status


def test_never_heard_is_registering_and_leaving_wins() -> None:
    assert instance_status(None, NOW, Thresholds()) is InstanceStatus.ONBOARDING
    assert instance_status(NOW, NOW, Thresholds(), is_leaving=True) is InstanceStatus.DELETING


def test_thresholds_are_settings() -> None:
    quick = Thresholds(inactive=datetime.timedelta(seconds=30), offline=datetime.timedelta(minutes=2))
    heard = NOW - datetime.timedelta(seconds=31)
    assert instance_status(heard, NOW, quick) is InstanceStatus.WARNING
