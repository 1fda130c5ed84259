"""A fleet that speaks the protocol and does nothing: stations and agents of the tests, on each database."""

from __future__ import annotations

import dataclasses
import datetime
import email.utils
import functools
from pathlib import Path
from typing import Any

import msgspec
import oci
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from stationmaster.api_client import keys, session
from stationmaster.host import http
from stationmaster.hub.jobs import loop
from stationmaster.model import protocol, response_file, signing

OWN = "/stationmaster/v1"
ROOT_TIME = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
FACTS = protocol.Facts(
    host_name="web01",
    os_name="Debian GNU/Linux",
    os_version="12",
    kernel_version="6.1",
    architecture="x86_64",
    package_manager=protocol.PackageManager.APT,
    agent_version="0.1",
)


@functools.lru_cache(maxsize=32)
def machine_key(number: int) -> rsa.RSAPrivateKey:
    """Keys take time to make, and a hub of one test knows nothing of another's."""
    del number
    return keys.make_private_key()


@dataclasses.dataclass
class Machine:
    """A registered machine that signs with its own key."""

    live: Any
    key: rsa.RSAPrivateKey
    answer: protocol.RegistrationAnswer

    def post(self, path: str, body: msgspec.Struct | None = None) -> session.Answer:
        key_id = signing.KeyId(
            self.answer.tenancy_id, self.answer.managed_instance_id, keys.fingerprint(self.key.public_key())
        )
        talk = session.Session(self.live.endpoint, http.Http(), self.live.clock, key_id=key_id, key=self.key)
        return talk.request("POST", path, body=body)


@dataclasses.dataclass
class FakeStation(Machine):
    """What its volume holds is what the test says; it finishes the sync that it was asked for, and may do, at once."""

    held: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    problem: protocol.Problem | None = None
    is_busy: bool = False
    desired: protocol.StationDesired | None = None
    digest: str = ""
    visible: list[protocol.Visible] = dataclasses.field(default_factory=list)
    last: protocol.HeartbeatAnswer | None = None
    readiness: protocol.Readiness = protocol.Readiness.READY
    addresses: list[str] = dataclasses.field(default_factory=lambda: ["10.0.0.1"])
    age: float = 0.0
    volume_id: str = ""
    is_writable: bool = True
    free_bytes: int = 0
    writer_token: int = 0
    nonce: str = "n1"
    nonces: dict[str, str] = dataclasses.field(default_factory=dict)
    is_first_release: bool = False
    runs: dict[str, protocol.SyncReport] = dataclasses.field(default_factory=dict)
    tokens: dict[str, int] = dataclasses.field(default_factory=dict)
    record: protocol.RecordReport | None = None
    room_bytes: int = 0
    notices: list[protocol.Notice] = dataclasses.field(default_factory=list)
    listening: list[int] = dataclasses.field(default_factory=list)
    is_stuck: bool = False

    @property
    def id(self) -> str:
        return str(self.answer.station_id)

    def leads(self, source_id: str) -> int:
        """The token under which it may ask the upstream; 0 when it may not."""
        leases = self.last.leases if self.last and self.last.leases else []
        return next((one.token for one in leases if one.source_id == source_id), 0)

    def beat(self) -> protocol.HeartbeatAnswer:
        sources = [self._source(one) for one in self.desired.sources] if self.desired else []
        report = protocol.StationHeartbeat(
            time_sent=self.live.clock.now() - datetime.timedelta(seconds=self.age),
            daemon_version="0.1",
            addresses=self.addresses,
            volume=self._volume(),
            readiness=self.readiness,
            reasons=[],
            sources=sources,
            desired_digest=self.digest,
            applied_digest=self.digest,
            record=self.record,
            notices=self.notices,
            listening=self._listening(),
        )
        path = f"{OWN}/stations/{self.answer.station_id}/heartbeat"
        self.last = self.post(path, report).decode(protocol.HeartbeatAnswer)
        if self.last.desired is not None:
            self.desired = self.last.desired
        self.digest, self.visible = self.last.desired_digest, self.last.visible
        return self.last

    def _listening(self) -> list[int]:
        """All that it should, at once, unless its ports are stuck."""
        if self.desired is not None and not self.is_stuck:
            told = self.desired
            served = (told.ports, told.balancer_ports, told.also_ports, told.also_balancer_ports)
            self.listening = sorted({n for one in served if one for n in (one.proxy, one.http, one.https)})
        return self.listening

    def _source(self, source: protocol.MirrorSource) -> protocol.SourceReport:
        held = self.held.get(source.source_id, [])
        shown = next((one for one in self.visible if one.source_id == source.source_id), None)
        return protocol.SourceReport(
            source_id=source.source_id,
            state=protocol.MirrorState.SYNCED,
            held=[
                protocol.HeldGeneration(
                    generation=one,
                    is_fetchable=True,
                    package_count=3,
                    size_bytes=100,
                    time_root=ROOT_TIME + datetime.timedelta(hours=int(one[1:])),
                )
                for one in held
            ],
            shown=shown if shown and shown.generation in held else None,
            sync=self._sync(source, held),
            lease_token=self.tokens.get(source.source_id, 0),
        )

    def _volume(self) -> protocol.VolumeReport:
        is_led = not self.is_first_release
        return protocol.VolumeReport(
            volume_id=self.volume_id or f"volume of {self.id}",
            directory="/mnt/mirror",
            is_writable=self.is_writable,
            total_bytes=2000 << 30 if self.free_bytes else 0,
            available_bytes=self.free_bytes,
            writer_token=self.writer_token,
            room_bytes=self.room_bytes,
            own_nonce=self.nonce if is_led else "",
            nonces=(self.nonces or {self.id: self.nonce}) if is_led else {},
        )

    def _sync(self, source: protocol.MirrorSource, held: list[str]) -> protocol.SyncReport | None:
        """Under a lease it looks what the upstream has, which is the last that it holds; else it copies, or idles."""
        token = 0 if self.is_first_release else self.leads(source.source_id)
        if not token and not self.is_first_release:
            if self.is_busy:
                return protocol.SyncReport(number=0, is_running=True, percentage=40)
            return self.runs.get(source.source_id)
        self.tokens[source.source_id] = max(token, self.tokens.get(source.source_id, 0))
        former = self.runs.get(source.source_id)
        self.runs[source.source_id] = protocol.SyncReport(
            number=max(source.sync_number, former.number if former else 0),
            is_running=self.is_busy,
            percentage=40 if self.is_busy else 100,
            generation=held[-1] if held and self.problem is None else None,
            problem=self.problem,
            time_started=ROOT_TIME,
            lease_token=token,
        )
        return self.runs[source.source_id]


@dataclasses.dataclass
class FakeAgent(Machine):
    """Checks in with what the test gives it."""

    def check_in(self, **told: Any) -> protocol.CheckinAnswer:
        message = protocol.Checkin(**{"time_sent": self.live.clock.now(), "facts": FACTS, **told})
        path = f"{OWN}/managedInstances/{self.answer.managed_instance_id}/checkin"
        return self.post(path, message).decode(protocol.CheckinAnswer)


@dataclasses.dataclass
class Fleet:
    """A hub with people's clients, and what the tests add to it."""

    live: Any
    scheduler: loop.Scheduler
    compartment_id: str
    machines: int = 0

    @classmethod
    def on(cls, live: Any) -> Fleet:
        scheduler = loop.Scheduler(live.hub)
        live.hub.settling.assume(live.clock.monotonic() - 60)  # a hub that has run for a while
        return cls(live, scheduler, live.root_id)

    def client(self, kind: Any) -> Any:
        return self.live.client(kind)

    @property
    def stations(self) -> Any:
        return self.client(oci.os_management_hub.ManagementStationClient)

    @property
    def instances(self) -> Any:
        return self.client(oci.os_management_hub.ManagedInstanceClient)

    @property
    def work(self) -> Any:
        return self.client(oci.os_management_hub.WorkRequestClient)

    @property
    def jobs(self) -> Any:
        return self.client(oci.os_management_hub.ScheduledJobClient)

    @property
    def person(self) -> session.Session:
        """Our own API, signed as the administrator."""
        config = oci.config.from_file(str(self.live.oci_config))
        key_id = signing.KeyId(config["tenancy"], config["user"], config["fingerprint"])
        key = keys.load_private_key(Path(config["key_file"]))
        return session.Session(self.live.endpoint, http.Http(), self.live.clock, key_id=key_id, key=key)

    def tick(self, seconds: float = 0.0) -> None:
        """The scheduler's round, ``seconds`` later."""
        self.live.clock.shift += seconds
        self.scheduler.tick()

    def make_station(self, name: str = "StationA", hostname: str = "lb.example.com") -> Any:
        models = oci.os_management_hub.models
        details = models.CreateManagementStationDetails(
            compartment_id=self.compartment_id,
            display_name=name,
            hostname=hostname,
            proxy=models.CreateProxyConfigurationDetails(is_enabled=True, hosts=["10.0.0.0/8"], port="16080"),
            mirror=models.CreateMirrorConfigurationDetails(directory="/mnt/mirror", port="17080", sslport="17443"),
        )
        return self.stations.create_management_station(details).data

    def make_source(self, name: str = "app") -> Any:
        models = oci.os_management_hub.models
        details = models.CreatePrivateSoftwareSourceDetails(
            compartment_id=self.compartment_id,
            display_name=name,
            os_family="ORACLE_LINUX_9",
            arch_type="X86_64",
            url=f"http://127.0.0.1:9/{name}/",
            is_gpg_check_enabled=False,
            is_mirror_sync_allowed=True,
        )
        client = self.client(oci.os_management_hub.SoftwareSourceClient)
        return client.create_software_source(details).data

    def make_profile(self, station_id: str, source_ids: list[str], name: str = "web") -> Any:
        models = oci.os_management_hub.models
        details = models.CreateSoftwareSourceProfileDetails(
            compartment_id=self.compartment_id,
            display_name=name,
            registration_type="NON_OCI_LINUX",
            management_station_id=station_id,
            vendor_name="ORACLE",
            os_family="ORACLE_LINUX_9",
            arch_type="X86_64",
            software_source_ids=source_ids,
        )
        return self.client(oci.os_management_hub.OnboardingClient).create_profile(details).data

    def response_file(self, profile_id: str, **limits: int) -> response_file.ResponseFile:
        answer = self.person.request("POST", f"{OWN}/profiles/{profile_id}/responseFile", body=limits)
        return response_file.parse(answer.json()["content"])

    def register(
        self, registration_key: str, kind: protocol.MachineKind, key: rsa.RSAPrivateKey | None = None, **told: Any
    ) -> tuple[rsa.RSAPrivateKey, protocol.RegistrationAnswer]:
        self.machines += 1
        key = key or machine_key(self.machines)
        request = protocol.RegistrationRequest(
            registration_key=registration_key,
            public_key=keys.public_pem(key.public_key()),
            kind=kind,
            facts=FACTS,
            **told,
        )
        talk = session.Session(self.live.endpoint, http.Http(), self.live.clock)
        answer = talk.request("POST", f"{OWN}/registrations", body=request)
        return key, answer.decode(protocol.RegistrationAnswer)

    def register_station(self, station: Any) -> FakeStation:
        given = self.response_file(station.profile_id)
        key, answer = self.register(given.registration_key, protocol.MachineKind.STATION, address="10.0.0.1")
        return FakeStation(self.live, key, answer)

    def register_agent(self, profile_id: str) -> FakeAgent:
        given = self.response_file(profile_id)
        key, answer = self.register(given.registration_key, protocol.MachineKind.INSTANCE)
        return FakeAgent(self.live, key, answer)

    def work_request(self, request_id: str) -> Any:
        return self.work.get_work_request(request_id).data

    def logs(self, request_id: str) -> list[str]:
        return [one.message for one in self.work.list_work_request_logs(request_id).data.items]

    def errors(self, request_id: str) -> list[tuple[str, str]]:
        return [(one.code, one.message) for one in self.work.list_work_request_errors(request_id).data.items]

    def events(self, kind: str) -> list[dict[str, Any]]:
        found = self.person.request("GET", f"{OWN}/events", query={"kind": kind}).json()
        return list(found["items"])


# Tests in which the databases could differ: races, types, order, text. The others run on SQLite alone.
_ON_BOTH = frozenset(
    {
        "test_a_station_becomes_what_its_profile_names",
        "test_the_same_key_and_machine_give_the_same_answer_also_when_used_up",
        "test_a_generation_becomes_visible_when_both_hold_it",
        "test_a_lagging_station_is_told_to_leave_and_then_not_waited_for",
        "test_a_sync_succeeds_when_every_station_shows_it",
        "test_the_inventory_travels_once",
        "test_of_two_at_once_for_the_last_use_one_registers",
        "test_a_failure_tells_why",
        "test_repeated_late_and_foreign_reports_change_nothing",
        "test_several_kinds_of_updates_become_children",
        "test_requests_are_listed_by_what_they_are",
        "test_a_living_instance_is_told_to_leave",
        "test_the_restricted_job_runs_when_due_and_has_a_next_time",
        "test_of_two_replicas_one_wins_each_write",
        "test_groups_instances_and_requests",
        "test_when_a_volume_is_full_is_said_when_it_is_known",
        "test_one_leads_and_the_other_copies_what_it_brought",
        "test_one_station_of_a_volume_may_remove",
        "test_a_copied_id_is_refused_to_the_younger_and_told",
        "test_nonsense_of_a_machine_hurts_nobody_else",
        "test_an_agents_nonsense_is_stored_without_harm_or_refused",
        "test_clients_are_told_when_all_serve_the_new_ports_and_the_old_go_when_nobody_uses_them",
        "test_replicas_give_out_the_same_bytes_signed_once",
    }
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The fixture ``fleet`` with the databases a test is for."""
    if "fleet" in metafunc.fixturenames:
        databases: list[Any] = ["sqlite"]
        postgres = pytest.param("postgres", marks=pytest.mark.postgres)
        if metafunc.function.__name__ in _ON_BOTH:
            databases.append(postgres)
        if "new_replica" in metafunc.fixturenames:
            databases = [postgres]
        metafunc.parametrize("fleet", databases, indirect=True)


@pytest.fixture
def fleet(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """On SQLite, and on PostgreSQL where it could matter. The SDK signs by the hub's clock, moved by days at times."""
    made = Fleet.on(request.getfixturevalue("live_hub" if request.param == "sqlite" else "live_postgres_hub"))
    written = email.utils.formatdate
    monkeypatch.setattr(
        email.utils, "formatdate", lambda **options: written(made.live.clock.now().timestamp(), **options)
    )
    return made


@dataclasses.dataclass
class Group:
    """Two peers that mirror one source, and a profile that names the first."""

    a: FakeStation
    b: FakeStation
    source: Any
    profile: Any

    def beat(self) -> None:
        self.a.beat()
        self.b.beat()


@pytest.fixture
def group(fleet: Fleet) -> Group:
    first, second = fleet.make_station("StationA"), fleet.make_station("StationB", "LB.Example.com.")
    while second.id < first.id:  # of two that could lead, the first by id does
        fleet.stations.delete_management_station(second.id)
        second = fleet.make_station("StationB", "LB.Example.com.")
    source = fleet.make_source()
    profile = fleet.make_profile(first.id, [source.id])
    made = Group(fleet.register_station(first), fleet.register_station(second), source, profile)
    made.beat()
    return made
