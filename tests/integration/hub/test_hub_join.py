"""One more replica of a hub: what is handed over, and what is refused before anything is written."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
from typing import Any

import pytest
import sqlalchemy as sa

from stationmaster.cli import main
from stationmaster.host import clock
from stationmaster.hub import opening, public_address
from stationmaster.model import errors


@dataclasses.dataclass(frozen=True)
class Done:
    """What a command said."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: Any) -> Done:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = main.run(["hub", *map(str, arguments)])
    return Done(status, out.getvalue(), err.getvalue())


def why_not_served(directory: Any) -> str:
    own = public_address.Own("https://hub.example.com", is_given=True)
    with pytest.raises(errors.CallerError) as caught:
        opening.open_hub(directory, own, clock.SystemClock())
    return str(caught.value)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, postgres_server: Any) -> Any:
    """A hub on PostgreSQL, its invitation, and the address of its database."""
    root, url = tmp_path_factory.mktemp("first"), postgres_server.new_database()
    done = run("init", "--state-dir", root / "state", "--oci-config", root / "oci" / "config", "--database", url)
    assert done.returncode == 0, done.stderr
    done = run("invite", "--state-dir", root / "state", "--output", root / "invitation")
    assert done.returncode == 0, done.stderr
    assert "PRIVATE" not in done.stdout + done.stderr
    return root, url


def join(directory: Any, invitation: Any, *more: Any) -> Any:
    return run("join", "--state-dir", directory, "--invitation", invitation, *more)


def refused(done: Any, directory: Any, *words: str) -> None:
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert [word for word in words if word not in done.stderr] == []
    assert not directory.exists() or list(directory.iterdir()) == []


def test_a_replica_gets_the_ca_and_keeps_it_private(first: Any, tmp_path: Any) -> None:
    root, url = first
    assert (root / "invitation").stat().st_mode & 0o777 == 0o600
    done = join(tmp_path / "second", root / "invitation")
    assert done.returncode == 0, done.stderr
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "second").iterdir()}
    assert modes == {"hub.json": 0o600, "ca-key.pem": 0o600, "ca.pem": 0o644}
    for name in ("ca.pem", "ca-key.pem"):
        assert (tmp_path / "second" / name).read_bytes() == (root / "state" / name).read_bytes()
    told = json.loads((tmp_path / "second" / "hub.json").read_text())
    assert (told["database"], told["isJoined"]) == (url, True)
    again = join(tmp_path / "second", root / "invitation")
    assert (again.returncode, "already" in again.stderr) == (1, True)


def test_an_invitation_that_others_may_read_is_refused(first: Any, tmp_path: Any) -> None:
    copied = tmp_path / "invitation"
    copied.write_bytes((first[0] / "invitation").read_bytes())
    copied.chmod(0o640)
    refused(join(tmp_path / "second", copied), tmp_path / "second", "chmod 600", "private key")


@pytest.mark.parametrize("content", [b"", b"{}", b"-----BEGIN PRIVATE KEY-----"])
def test_what_is_no_invitation_is_refused(tmp_path: Any, content: bytes) -> None:
    wrong = tmp_path / "invitation"
    wrong.write_bytes(content)
    wrong.chmod(0o600)
    refused(join(tmp_path / "second", wrong), tmp_path / "second", "no invitation")


def test_a_database_without_a_hub_or_of_another_is_refused(first: Any, tmp_path: Any, postgres_server: Any) -> None:
    invitation, empty, other = first[0] / "invitation", postgres_server.new_database(), postgres_server.new_database()
    refused(join(tmp_path / "a", invitation, "--database", empty), tmp_path / "a", "holds no hub")
    run("init", "--state-dir", tmp_path / "o", "--oci-config", tmp_path / "o.config", "--database", other)
    refused(join(tmp_path / "b", invitation, "--database", other), tmp_path / "b", "another hub", "tenancy")
    # A hub that has run is not turned to another database either, by hand or by a wrong restore.
    told = (tmp_path / "o" / "hub.json").read_text()
    for url, word in ((first[1], "another hub"), (empty, "holds no hub")):
        (tmp_path / "o" / "hub.json").write_text(told.replace(other, url))
        assert word in why_not_served(tmp_path / "o")


def test_another_ca_than_the_databases_is_refused(first: Any, tmp_path: Any) -> None:
    run("init", "--state-dir", tmp_path / "o", "--oci-config", tmp_path / "o.config")
    told = json.loads((first[0] / "invitation").read_text())
    told |= {"ca": (tmp_path / "o" / "ca.pem").read_text(), "caKey": (tmp_path / "o" / "ca-key.pem").read_text()}
    forged = tmp_path / "invitation"
    forged.write_text(json.dumps(told))
    forged.chmod(0o600)
    refused(join(tmp_path / "second", forged), tmp_path / "second", "another CA")


def test_a_schema_of_another_release_is_refused_and_left_alone(tmp_path: Any, postgres_server: Any) -> None:
    root, url = tmp_path / "first", postgres_server.new_database()
    run("init", "--state-dir", root, "--oci-config", tmp_path / "config", "--database", url)
    run("invite", "--state-dir", root, "--output", tmp_path / "invitation")
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        for number, words in (("9999", ("newer release", "Upgrade")), ("0001", ("older release", "first hub"))):
            with engine.begin() as tx:
                tx.execute(sa.text("UPDATE alembic_version SET version_num = :number"), {"number": number})
            refused(join(tmp_path / "second", tmp_path / "invitation"), tmp_path / "second", *words)
            again = ("--state-dir", tmp_path / "x", "--oci-config", tmp_path / "x.config", "--database", url)
            done = run("init", *again)
            assert (done.returncode, "hub join" in done.stderr, "Traceback" in done.stderr) == (1, True, False)
            with engine.connect() as tx:
                assert tx.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == number
        with engine.begin() as tx:
            tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        assert "newer release" in why_not_served(root)
    finally:
        engine.dispose()


def test_a_hub_on_sqlite_invites_nobody(tmp_path: Any) -> None:
    run("init", "--state-dir", tmp_path / "o", "--oci-config", tmp_path / "o.config")
    done = run("invite", "--state-dir", tmp_path / "o", "--output", tmp_path / "invitation")
    assert (done.returncode, "PostgreSQL" in done.stderr) == (1, True)
    assert not (tmp_path / "invitation").exists()


def test_an_invitation_replaces_no_file(first: Any, tmp_path: Any) -> None:
    (tmp_path / "taken").write_text("mine")
    done = run("invite", "--state-dir", first[0] / "state", "--output", tmp_path / "taken")
    assert (done.returncode, (tmp_path / "taken").read_text()) == (1, "mine")


@pytest.mark.parametrize(
    ("own", "stored", "told"),
    [
        (("https://a", True, False), None, ("https://a", True)),
        (("https://a", True, True), ("https://b", True), ("https://a", True)),
        (("https://a", False, False), None, ("https://a", False)),
        (("https://a", False, False), ("https://b", False), ("https://a", False)),  # its own names were changed
        (("https://a", False, False), ("https://b", True), ("https://b", True)),
        (("https://a", False, True), ("https://b", False), ("https://b", False)),
    ],
)
def test_one_address_is_told_by_all(own: Any, stored: Any, told: Any) -> None:
    known = public_address.Stored(*stored) if stored else None
    assert public_address.choose(public_address.Own(*own), known) == public_address.Stored(*told)


def test_a_replica_that_joined_invents_no_address() -> None:
    with pytest.raises(errors.CallerError, match="--public-url"):
        public_address.choose(public_address.Own("https://a", is_given=False, is_joined=True), None)
