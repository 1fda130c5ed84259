"""What all syncs of a process share: bandwidth and connections, in all and per host."""

from __future__ import annotations

import threading

import pytest

from stationmaster.mirror import failures, limits, meter
from stationmaster.testing import manual_clock

ONE, OTHER = "http://one.test/a", "http://other.test/b"


@pytest.fixture
def clock() -> manual_clock.ManualClock:
    return manual_clock.ManualClock()


def held(shared: limits.Limits, url: str, stop: threading.Event) -> tuple[threading.Event, threading.Thread]:
    """A thread that takes a connection and has it until ``stop`` of its own is set."""
    has_it, end = threading.Event(), stop

    def work() -> None:
        with shared.connection(url, threading.Event()):
            has_it.set()
            end.wait(20)

    thread = threading.Thread(target=work)
    thread.start()
    return has_it, thread


def test_without_settings_nothing_waits(clock: manual_clock.ManualClock) -> None:
    shared = limits.Limits(clock)
    before = clock.monotonic()
    with shared.connection(ONE, threading.Event()), shared.connection(ONE, threading.Event()):
        assert shared.pay(1 << 30, ONE, threading.Event()) == 0.0
    assert clock.monotonic() == before
    assert shared.piece_size(1 << 18) == 1 << 18


def test_bytes_of_all_hosts_together_keep_the_rate(clock: manual_clock.ManualClock) -> None:
    shared = limits.Limits(clock, limits.LimitSettings(bytes_per_second=1000))
    before = clock.monotonic()
    for url in (ONE, OTHER) * 10:
        shared.pay(500, url, threading.Event())
    assert clock.monotonic() - before == pytest.approx(10.0, abs=0.5)


def test_bytes_of_each_host_keep_its_rate(clock: manual_clock.ManualClock) -> None:
    shared = limits.Limits(clock, limits.LimitSettings(bytes_per_second_per_host=1000))
    before = clock.monotonic()
    for url in (ONE, OTHER) * 10:
        shared.pay(500, url, threading.Event())
    assert clock.monotonic() - before == pytest.approx(5.0, abs=0.5)


def test_a_stop_ends_the_waiting_for_bandwidth(clock: manual_clock.ManualClock) -> None:
    shared = limits.Limits(clock, limits.LimitSettings(bytes_per_second=1))
    stop = threading.Event()
    stop.set()
    assert shared.pay(10_000, ONE, stop) == 0.0


def test_waiting_for_bandwidth_is_not_held_against_the_upstream(clock: manual_clock.ManualClock) -> None:
    shared = limits.Limits(clock, limits.LimitSettings(bytes_per_second=10))
    pace = meter.Pace(clock, floor=512, window=20)
    for _ in range(10):
        pace.excuse(shared.pay(1000, ONE, threading.Event()))
        pace.add(1000, address=ONE)


@pytest.mark.parametrize(
    ("settings", "is_refused"),
    [
        (limits.LimitSettings(connections=1), {ONE, OTHER}),
        (limits.LimitSettings(connections_per_host=1), {ONE}),
        (limits.LimitSettings(connections=2, connections_per_host=2), set()),
    ],
)
def test_connections_are_counted_in_all_and_per_host(
    clock: manual_clock.ManualClock, settings: limits.LimitSettings, is_refused: set[str]
) -> None:
    shared = limits.Limits(clock, settings)
    told_to_stop = threading.Event()
    told_to_stop.set()
    with shared.connection(ONE, threading.Event()):
        for url in (ONE, OTHER):
            if url in is_refused:
                with pytest.raises(failures.StoppedError), shared.connection(url, told_to_stop):
                    raise AssertionError
            else:
                with shared.connection(url, told_to_stop):
                    pass


def test_who_waits_gets_the_place_that_becomes_free(clock: manual_clock.ManualClock) -> None:
    shared = limits.Limits(clock, limits.LimitSettings(connections=1))
    first_ends, second_ends = threading.Event(), threading.Event()
    has_first, first = held(shared, ONE, first_ends)
    assert has_first.wait(10)
    has_second, second = held(shared, OTHER, second_ends)
    assert not has_second.wait(0.05)
    first_ends.set()
    assert has_second.wait(10)
    second_ends.set()
    first.join(10)
    second.join(10)


def test_a_changed_setting_holds_for_those_who_wait_already(clock: manual_clock.ManualClock) -> None:
    shared = limits.Limits(clock, limits.LimitSettings(connections=0))
    end = threading.Event()
    has_it, thread = held(shared, ONE, end)
    assert not has_it.wait(0.05)
    shared.change(limits.LimitSettings(connections=1))
    assert has_it.wait(10)
    end.set()
    thread.join(10)


@pytest.mark.parametrize("rate", [1, 40_000, 10 << 20])
def test_a_low_rate_reads_in_small_pieces(clock: manual_clock.ManualClock, rate: int) -> None:
    shared = limits.Limits(clock, limits.LimitSettings(bytes_per_second=rate))
    assert 1 <= shared.piece_size(1 << 18) <= max(rate, 1 << 12)
