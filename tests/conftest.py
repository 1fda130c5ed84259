"""Fixtures of all suites: what unit tests may not do, a PostgreSQL server of our own, and a hub to talk to."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import datetime
import functools
import logging
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import pytest_socket

from stationmaster.host import clock, files

if TYPE_CHECKING:  # what is heavy is imported by the fixtures that use it: every test run loads this module
    import sqlalchemy as sa
    from cryptography.hazmat.primitives.asymmetric import rsa

    from stationmaster.hub import context
    from stationmaster.hub.db.store import Store

# The same examples in each run, however slow the machine; `--hypothesis-profile=default` draws new ones.
hypothesis.settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("repeatable")

_UNIT = Path(__file__).parent / "unit"
_LABS = "tests/acceptance/"
_POSTGRES = Path("/usr/lib/postgresql/15/bin")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadfile`, where labs, each a whole network with its load, take turns. Groups by mark had no effect."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class InTurn(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return "labs" if path.startswith(_LABS) else path

    return InTurn(config, log)


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """What a command under test makes of the root logger ends with the test: its stream does as well."""
    root = logging.getLogger()
    level = root.level
    yield
    for handler in [one for one in root.handlers if type(one) is logging.StreamHandler]:  # pytest's own are heirs of it
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture(autouse=True)
def _unit_tests_touch_nothing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Unit tests open no sockets and start no processes."""
    if not Path(request.node.path).is_relative_to(_UNIT):
        yield
        return

    def refuse(*arguments: object, **_: object) -> None:
        raise AssertionError(f"A unit test started a process: {arguments}")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(os, "posix_spawn", refuse)
    pytest_socket.disable_socket(allow_unix_socket=True)
    yield
    pytest_socket.enable_socket()


# --- databases ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class PostgresServer:
    """A server of the test run's own, reached through a socket in its directory."""

    directory: Path
    administrator: sa.Engine
    made: int = 0

    def new_database(self) -> str:
        """The URL of an empty database."""
        import sqlalchemy as sa

        self.made += 1
        name = f"test_{self.made}"
        with self.administrator.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        return f"postgresql://postgres@/{name}?host={self.directory}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """initdb in a temporary directory, as the user postgres when we are root: the server refuses to run as root."""
    import sqlalchemy as sa

    directory = Path(tempfile.mkdtemp(prefix="sm-postgres-"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(directory, "postgres", "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    data = directory / "data"
    initdb = [*as_user, _POSTGRES / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync"]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd="/")
    options = f"-c listen_addresses= -c unix_socket_directories={directory} -c fsync=off -c max_connections=200"
    control = [*as_user, _POSTGRES / "pg_ctl", "-D", data, "-w"]
    start = [*control, "-o", options, "-l", directory / "log", "start"]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL, cwd="/")
    administrator = sa.create_engine(
        f"postgresql+psycopg://postgres@/postgres?host={directory}", isolation_level="AUTOCOMMIT"
    )
    try:
        yield PostgresServer(directory, administrator)
    finally:
        administrator.dispose()
        subprocess.run([*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL, cwd="/")
        shutil.rmtree(directory)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/test.sqlite3"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database()


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A migrated store, on each kind of database in turn."""
    from stationmaster.hub.db.store import Store

    opened = Store(database_url, clock.SystemClock())
    opened.migrate()
    yield opened
    opened.close()


# --- a hub --------------------------------------------------------------------------------------------------------


class ShiftedClock(clock.SystemClock):
    """The machine's clock, off by what a test says."""

    def __init__(self) -> None:
        self.shift = 0.0

    def now(self) -> datetime.datetime:
        return super().now() + datetime.timedelta(seconds=self.shift)

    def monotonic(self) -> float:
        return super().monotonic() + self.shift


@dataclasses.dataclass
class LiveHub:
    """A hub that serves on a loopback port of this process."""

    hub: context.Hub
    endpoint: str
    oci_config: Path
    clock: ShiftedClock

    @property
    def root_id(self) -> str:
        """The tenancy, which is the root compartment."""
        return self.hub.tenancy_id

    def client(self, kind: Callable[..., Any], **changes: str) -> Any:
        """An unmodified client of the OCI SDK that never retries; ``changes`` replace entries of its configuration."""
        import oci

        config = {**oci.config.from_file(str(self.oci_config)), **changes}
        return kind(config, service_endpoint=self.endpoint, retry_strategy=oci.retry.NoneRetryStrategy())

    def add_principal(self, kind: str, principal_id: str, key: rsa.RSAPrivateKey) -> str:
        """Make somebody known to the hub; the fingerprint of the key."""
        from stationmaster.api_client import keys
        from stationmaster.hub.db import schema

        fingerprint = keys.fingerprint(key.public_key())
        with self.hub.store.write() as tx:
            now = self.clock.now()
            values = {"id": principal_id, "kind": kind, "name": kind, "tenancy_id": self.root_id, "time_created": now}
            tx.execute(schema.principals.insert().values(values))
            tx.execute(
                schema.api_keys.insert().values(
                    principal_id=principal_id,
                    fingerprint=fingerprint,
                    public_key=keys.public_pem(key.public_key()),
                    time_created=now,
                )
            )
        return fingerprint


def _initialise(directory: Path, database: str | None = None) -> None:
    from stationmaster.hub.services import setup

    wanted = setup.Wanted(directory / "state", directory / "oci" / "config", database)
    setup.initialise(wanted, files.Files(), ShiftedClock())


@functools.cache
def _made_hub() -> Path:
    """A hub on SQLite, made once: its keys take longer to make than most tests take to run."""
    directory = Path(tempfile.mkdtemp(prefix="sm-hub-"))
    atexit.register(shutil.rmtree, directory)
    _initialise(directory)
    return directory


def _copy_hub(made: Path, directory: Path) -> None:
    shutil.copytree(made, directory, dirs_exist_ok=True)
    for path in (directory / "state" / "hub.json", directory / "oci" / "config"):
        path.write_text(path.read_text().replace(str(made), str(directory)))


@contextlib.contextmanager
def running_hub(directory: Path, database: str | None = None) -> Iterator[LiveHub]:
    """A hub made by ``hub init``, served by a real uvicorn on a free loopback port."""
    from stationmaster.hub import opening, public_address

    wall_clock = ShiftedClock()
    if database is None:
        _copy_hub(_made_hub(), directory)
    else:
        _initialise(directory, database)
    listener = socket.create_server(("127.0.0.1", 0))
    endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
    opened = opening.open_hub(directory / "state", public_address.Own(endpoint, is_given=True), wall_clock)
    hub = dataclasses.replace(opened, clock=wall_clock, watch=None)  # a clock that tests move
    with served(hub, listener):
        yield LiveHub(hub, endpoint, directory / "oci" / "config", wall_clock)


@contextlib.contextmanager
def served(hub: context.Hub, listener: socket.socket) -> Iterator[None]:
    """A hub behind a real uvicorn; socket and store are closed at the end."""
    import uvicorn

    from stationmaster.hub import wiring

    config = uvicorn.Config(wiring.build_app(hub), log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        deadline = time.monotonic() + 10
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
        hub.store.close()


@contextlib.contextmanager
def replica(live: LiveHub, wall_clock: clock.Clock) -> Iterator[LiveHub]:
    """One more hub process on the state and database of ``live``, with its own wall clock, as `hub serve` has it."""
    from stationmaster.hub import opening, public_address

    listener = socket.create_server(("127.0.0.1", 0))
    endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
    state = live.oci_config.parent.parent / "state"
    hub = opening.open_hub(state, public_address.Own(live.endpoint, is_given=True), wall_clock)
    with served(hub, listener):
        yield LiveHub(hub, endpoint, live.oci_config, live.clock)


@pytest.fixture
def new_replica(live_postgres_hub: LiveHub) -> Iterator[Callable[[clock.Clock], LiveHub]]:
    """Makes replicas of the hub on PostgreSQL."""
    with contextlib.ExitStack() as stack:
        yield lambda wall_clock: stack.enter_context(replica(live_postgres_hub, wall_clock))


@pytest.fixture
def live_hub(tmp_path: Path) -> Iterator[LiveHub]:
    """A hub on SQLite."""
    with running_hub(tmp_path / "hub") as live:
        yield live


@pytest.fixture
def live_postgres_hub(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[LiveHub]:
    """A hub on PostgreSQL."""
    with running_hub(tmp_path / "hub", postgres_server.new_database()) as live:
        yield live


@pytest.fixture(scope="session")
def stranger_key(tmp_path_factory: pytest.TempPathFactory) -> tuple[rsa.RSAPrivateKey, Path]:
    """A good key that no hub knows, and its file."""
    from stationmaster.api_client import keys

    key = keys.make_private_key()
    path = tmp_path_factory.mktemp("stranger") / "key.pem"
    path.write_bytes(keys.private_pem(key))
    return key, path
