"""How much of its weight a station asks for: a function of how long it has been ready."""

from __future__ import annotations

import pytest

from stationmaster.model import protocol
from stationmaster.station import readiness, share

READY = readiness.Verdict(protocol.Readiness.READY, ())


def unready(code: str, kind: protocol.Readiness = protocol.Readiness.LAST_RESORT) -> readiness.Verdict:
    return readiness.Verdict(kind, (protocol.Problem(code=code, message="words"),))


def test_it_grows_from_a_tenth_to_the_whole_and_never_falls_back_while_ready() -> None:
    history = share.History().after(READY, 1000.0)
    found = [share.percent(history.after(READY, 1000.0 + second), 1000.0 + second) for second in range(60)]
    assert found[0] == 10
    assert found == sorted(found)
    assert 50 <= found[15] <= 60
    assert found[29] < 100 == found[30] == found[59]


def test_a_break_begins_anew() -> None:
    history = share.History().after(READY, 0.0).after(unready("Unconfirmed"), 50.0).after(READY, 60.0)
    assert share.percent(history, 60.0) == 10
    assert share.percent(share.History(), 1e9) == 10


@pytest.mark.parametrize(
    ("verdict", "at", "said"),
    [
        (READY, 40.0, b"100% #ready\n"),
        (READY, 15.0, b"55% #returning\n"),
        (unready("Draining"), 40.0, b"0% #draining\n"),
        (unready("Unconfirmed"), 40.0, b"10% #last-resort Unconfirmed\n"),
        (unready("VolumeSilent", protocol.Readiness.NO), 40.0, b"10% #no VolumeSilent\n"),
        (unready("sp ace\n#down"), 40.0, b"10% #last-resort\n"),
    ],
)
def test_the_line(verdict: readiness.Verdict, at: float, said: bytes) -> None:
    assert share.line(share.History().after(READY, 0.0).after(verdict, at), verdict, at) == said


def test_no_word_that_haproxy_would_keep_until_it_is_taken_back() -> None:
    for verdict in (READY, unready("Draining"), unready("down"), unready("Gone", protocol.Readiness.NO)):
        before_comment = share.line(share.History(), verdict, 0.0).partition(b"#")[0]
        assert before_comment.strip().endswith(b"%")
        assert b" " not in before_comment.strip()
