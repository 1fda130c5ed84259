import datetime
import time

import pytest

from stationmaster.model import errors, schedule

FIRST = datetime.datetime(2026, 1, 31, 3, 30, tzinfo=datetime.UTC)


def at(*parts: int) -> datetime.datetime:
    return datetime.datetime(*parts, tzinfo=datetime.UTC)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "after", "expected"),
    [
        ("FREQ=DAILY;INTERVAL=1", FIRST, at(2026, 2, 1, 3, 30)),
        ("freq=daily", FIRST, at(2026, 2, 1, 3, 30)),
        ("RRULE:FREQ=DAILY;INTERVAL=1;", at(2026, 3, 5, 12), at(2026, 3, 6, 3, 30)),
        ("FREQ=HOURLY;INTERVAL=6", FIRST, at(2026, 1, 31, 9, 30)),
        ("FREQ=WEEKLY;BYDAY=SU;BYHOUR=4;BYMINUTE=0;BYSECOND=0", FIRST, at(2026, 2, 1, 4)),
        ("FREQ=MONTHLY;BYMONTHDAY=31", FIRST, at(2026, 3, 31, 3, 30)),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", FIRST, at(2026, 2, 27, 3, 30)),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", FIRST, at(2028, 2, 29, 3, 30)),
    ],
)
def test_next_execution(rule: str, after: datetime.datetime, expected: datetime.datetime) -> None:
    assert schedule.next_execution(rule, FIRST, after) == expected


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "DAILY",
        "FREQ=SECONDLY",
        "FREQ=MINUTELY",
        "FREQ=DAILY;COUNT=3",
        "FREQ=DAILY;UNTIL=20300101T000000Z",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=x",
        "FREQ=DAILY;FREQ=DAILY",
        "FREQ=DAILY;BYHOUR=99",
        "FREQ=DAILY;BYDAY=XX",
        "FREQ=DAILY;BYDAY=",
        "FREQ=DAILY;BYHOUR=\n",
        "INTERVAL=1",
        "FREQ=DAILY;" + "BYHOUR=1," * 100,
    ],
)
def test_other_rules_are_refused(rule: str) -> None:
    with pytest.raises(errors.CallerError, match="recurringRule"):
        schedule.next_execution(rule, FIRST, FIRST)


@pytest.mark.parametrize("frequency", ["HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
def test_a_rule_that_never_fires_is_refused_at_once(frequency: str) -> None:
    started = time.process_time()
    with pytest.raises(errors.CallerError, match="no time before"):
        schedule.next_execution(f"FREQ={frequency};BYMONTH=2;BYMONTHDAY=31", FIRST, FIRST)
    assert time.process_time() - started < 1
