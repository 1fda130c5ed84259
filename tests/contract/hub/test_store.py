from __future__ import annotations

import contextlib
import datetime
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from stationmaster.hub.db import schema
from stationmaster.hub.db.store import Kind, RaceError, Store, insert_first, update_unchanged
from stationmaster.model import errors
from stationmaster.testing.manual_clock import ManualClock

NOW = datetime.datetime(2026, 3, 4, 5, 6, 7, 891234, tzinfo=datetime.UTC)


def put(tx: Any, name: Any, value: Any) -> Any:
    tx.execute(schema.settings.insert().values(name=name, value=value))


def names(store: Any) -> Any:
    with store.read() as tx:
        return tx.execute(sa.select(schema.settings.c.name).order_by(schema.settings.c.name)).scalars().all()


def test_what_a_transaction_wrote_is_there(store: Any) -> None:
    store.transact(lambda tx: put(tx, "a", {"list": [1, 2.5, None, "ü"]}))
    with store.read() as tx:
        assert tx.execute(sa.select(schema.settings.c.value)).scalar_one() == {"list": [1, 2.5, None, "ü"]}


@pytest.mark.parametrize("kind", list(Kind))
def test_a_transaction_that_fails_wrote_nothing(store: Any, kind: Any) -> None:
    def work(tx: Any) -> Any:
        put(tx, "a", 1)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        store.transact(work, kind=kind)
    assert names(store) == []


def test_times_come_back_as_they_went_in_whatever_zone_they_were_in(store: Any) -> None:
    elsewhere = NOW.astimezone(datetime.timezone(datetime.timedelta(hours=5)))
    with store.write() as tx:
        tx.execute(
            schema.compartments.insert().values(
                id="c", display_name="c", description="", time_created=elsewhere, created_by=""
            )
        )
    with store.read() as tx:
        found = tx.execute(sa.select(schema.compartments.c.time_created)).scalar_one()
    assert found == NOW
    assert found.utcoffset() == datetime.timedelta()


def test_a_time_without_zone_is_refused(store: Any) -> None:
    values = {"id": "c", "display_name": "c", "description": "", "created_by": ""}
    with pytest.raises(sa.exc.StatementError), store.write() as tx:
        tx.execute(schema.compartments.insert().values(**values, time_created=NOW.replace(tzinfo=None)))


def test_references_are_enforced(store: Any) -> None:
    with pytest.raises(sa.exc.IntegrityError), store.write() as tx:
        tx.execute(
            schema.compartments.insert().values(
                id="c", parent_id="nowhere", display_name="c", description="", time_created=NOW, created_by=""
            )
        )


def test_names_sort_by_bytes_on_both_databases(store: Any) -> None:
    with store.write() as tx:
        for name in ("b", "B", "a-b", "aa", "Z", "ä"):
            put(tx, name, 0)
    assert names(store) == sorted(["b", "B", "a-b", "aa", "Z", "ä"])


def test_a_reader_sees_one_moment(store: Any) -> None:
    with store.read() as tx:
        before = tx.execute(sa.select(schema.settings.c.name)).scalars().all()
        writer = threading.Thread(target=lambda: store.transact(lambda other: put(other, "a", 1)))
        writer.start()
        writer.join(10)
        assert tx.execute(sa.select(schema.settings.c.name)).scalars().all() == before == []
    assert names(store) == ["a"]


def test_many_who_read_and_then_write_lose_no_step(store: Any) -> None:
    store.transact(lambda tx: put(tx, "count", 0))

    def add_one(tx: Any) -> Any:
        value = tx.execute(sa.select(schema.settings.c.value)).scalar_one()
        tx.execute(schema.settings.update().values(value=value + 1))

    def work() -> Any:
        for _ in range(10):
            store.transact(add_one)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with store.read() as tx:
        assert tx.execute(sa.select(schema.settings.c.value)).scalar_one() == 40


def test_two_who_check_and_insert_do_not_both_succeed(store: Any) -> None:
    """Write skew: each looks that there is nobody, then inserts; I2 and unique names rest on this."""
    gate = threading.Barrier(2, timeout=3)
    done = []

    def work(tx: Any, name: Any) -> Any:
        taken = tx.execute(sa.select(sa.func.count()).select_from(schema.settings)).scalar_one()
        with contextlib.suppress(threading.BrokenBarrierError):
            gate.wait()  # both have looked, where the database lets them
        if not taken:
            put(tx, name, 0)
            done.append(name)

    threads = [threading.Thread(target=lambda n=name: store.transact(lambda tx: work(tx, n))) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(names(store)) == 1


def test_a_lost_race_is_tried_again_from_the_start(store: Any) -> None:
    attempts = []

    def work(tx: Any) -> Any:
        attempts.append(1)
        put(tx, "a", len(attempts))
        if len(attempts) < 3:
            raise RaceError

    store.transact(work)
    assert len(attempts) == 3
    assert names(store) == ["a"]


def test_a_race_that_is_always_lost_ends(store: Any) -> None:
    def work(_tx: Any) -> Any:
        raise RaceError

    with pytest.raises(RaceError):
        store.transact(work)


def test_another_kind_of_database_is_refused_by_name() -> None:
    with pytest.raises(errors.CallerError, match="mysql"):
        Store("mysql://host/name", ManualClock())


def test_what_an_error_says_shows_no_values(store: Any) -> None:
    with pytest.raises(sa.exc.DBAPIError) as caught, store.write() as tx:
        tx.execute(sa.text("INSERT INTO nowhere VALUES (:secret)"), {"secret": "c4nary"})
    assert "c4nary" not in str(caught.value)


@pytest.mark.parametrize("url", ["c4nary", "postgresql://u:c4nary@h:port/x", "postgresql://u:c4nary@h:1:2/x"])
def test_a_url_that_cannot_be_read_is_not_shown(url: Any) -> None:
    with pytest.raises(errors.CallerError) as caught:
        Store(url, ManualClock())
    assert "c4nary" not in str(caught.value)


def test_one_replica_at_a_time_does_the_same(store: Any) -> None:
    """The other does not wait, and does not lose a race; it looks again a second later."""
    is_postgres = store.engine.dialect.name == "postgresql"
    other = Store(store.engine.url.render_as_string(hide_password=False), ManualClock()) if is_postgres else None

    def work(tx: Any) -> str:
        put(tx, "a", 1)
        if other is not None:
            assert other.transact_as_one("this", lambda _: "done twice") is None
            assert other.transact_as_one("that", lambda _: "done") == "done"
        return "done"

    assert store.transact_as_one("this", work) == "done"
    assert names(store) == ["a"]
    if other is not None:
        assert other.transact_as_one("this", lambda _: "later") == "later"
        other.close()


def test_who_comes_second_is_told_of_the_race(store: Any) -> None:
    table = schema.settings
    store.transact(lambda tx: insert_first(tx, table, name="a", value=1))
    seen: list[str] = []

    def late(tx: Any) -> None:
        for act in (
            lambda: update_unchanged(tx, table, table.c.name == "b", {"value": 2}),
            lambda: insert_first(tx, table, name="a", value=2),
        ):
            with pytest.raises(RaceError):
                act()
            seen.append("told")
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        store.transact(late)
    assert len(seen) == 2
    store.transact(lambda tx: update_unchanged(tx, table, table.c.name == "a", {"value": 3}))
    with store.read() as tx:
        assert tx.execute(sa.select(table.c.value)).scalar_one() == 3
