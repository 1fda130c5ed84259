"""The HA guide, new environment, on real programs: in its order, each test on what those before it made.

Each begins when the group has come to rest, and brings back what it killed whether it held or not.
"""

import contextlib
import json
import time
from collections.abc import Iterator

import pytest

from stationmaster.agent import trust_directory
from stationmaster.lab import (
    balancer_watch,
    failures,
    guide,
    lab,
    record,
    rest,
    rpm_plan,
    scenario,
    show,
    waiting,
)
from stationmaster.lab import world as guidebook
from stationmaster.lab.world import World

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    # Not below pytest's own directory, which only root may enter: nginx serves as another user.
    with lab.Lab.build(guidebook.guide_hosts()) as made:
        built = World(made, show.SilentReporter(), record.BASE / "cache")
        guide.set_up(built)
        yield built


@pytest.fixture(autouse=True)
def _from_rest(world: World) -> None:
    rest.wait_until_settled(world)


@contextlib.contextmanager
def hub_dead(world: World) -> Iterator[None]:
    """The hub is dead while this lasts."""
    assert world.hub is not None
    world.lab["hub"].kill_all()
    try:
        yield
    finally:
        world.hub.serve()


@contextlib.contextmanager
def station_dead(world: World, name: str) -> Iterator[None]:
    """A station is dead while this lasts."""
    world.stations[name].on.kill_all()
    try:
        yield
    finally:
        world.stations[name].start()


def test_both_stations_mirror_both_sources_though_profiles_name_only_one(world: World) -> None:
    for station in world.stations.values():
        mirrors = world.desk.call("ManagementStationClient", "list_mirrors", station.station_id).data.items
        assert {mirror.id for mirror in mirrors} == set(world.sources.values())
        assert {mirror.state for mirror in mirrors} == {"SYNCED"}
        counts = {mirror.id: mirror.package_count for mirror in mirrors}
        assert counts[world.sources["rpm"]] == 300
        assert world.deb is not None
        assert counts[world.sources["deb"]] == len(world.deb.stanzas)


def consult(world: World) -> tuple[int, set[str]]:
    """Exit status of the doctor, and the codes of its findings."""
    done = world.desk.stationmaster("ha", "doctor", "--hostname", guidebook.BALANCER, "--json")
    return done.status, {one["code"] for one in json.loads(done.stdout)["items"]}


def test_the_doctor_finds_nothing_in_a_group_that_is_well(world: World) -> None:
    # Worth knowing, no trouble: the lab's stations live on one machine, and their balancer is stated by nobody.
    # A heartbeat that comes late on a busy machine is found, too, and is none of this test's.
    expected = (0, {"BalancersUnstated", "DirectoriesDiffer"})
    waiting.until(lambda: consult(world) == expected, 15, "the doctor to find nothing but what is worth knowing")


def test_instances_install_through_the_balancer_with_signatures_checked(world: World) -> None:
    guide.install_packages(world)
    assert guide.installed_version(world.instances["rpm1"], guidebook.UPDATED_RPM) == rpm_plan.FIRST_VERSION
    repositories = "".join(path.read_text() for path in (world.instances["rpm1"].root / "etc/yum.repos.d").iterdir())
    assert guidebook.BALANCER in repositories
    assert "gpgcheck=1" in repositories.replace(" ", "")
    sources = "".join(path.read_text() for path in (world.instances["deb1"].root / "etc/apt/sources.list.d").iterdir())
    assert guidebook.BALANCER in sources
    assert "Signed-By" in sources


def test_a_zypper_instance_installs_through_the_balancer_over_http_and_https(world: World) -> None:
    instance = scenario.register_instance(world, "zyp1", guidebook.RPM, "zypper")
    text = (instance.root / "etc/zypp/repos.d/stationmaster.repo").read_text()
    assert f"mirrorlist=http://{guidebook.BALANCER}:{guidebook.HTTP_PORT}/m/" in text
    assert "gpgcheck=1\nrepo_gpgcheck=1" in text
    read = ("zypper", "-n", "--gpg-auto-import-keys", "refresh", "--force")
    instance.manage(*read).require_success("zypper refresh")
    instance.manage("zypper", "-n", "install", guidebook.UPDATED_RPM).require_success("zypper install")
    assert guide.installed_version(instance, guidebook.UPDATED_RPM) == rpm_plan.FIRST_VERSION
    # As a person would write it for HTTPS, beside what the agent wrote.
    assert world.hub is not None
    trust = instance.root / "etc/trust"
    trust.mkdir()
    for name, certificate in trust_directory.render_trust_directory(world.hub.ca.read_text()).items():
        (trust / name).write_text(certificate)
    address = f"https://{guidebook.BALANCER}:{guidebook.HTTPS_PORT}/m/{world.sources['rpm']}"
    over_tls = text.partition("mirrorlist=")
    rest = over_tls[2].partition("\n")[2]
    (instance.root / "etc/zypp/repos.d/tls.repo").write_text(
        f"[tls]\nname=TLS\nmirrorlist={address}/capath/etc/trust?ssl_capath=/etc/trust\n{rest}"
    )
    instance.manage(*read, "tls").require_success("zypper refresh over TLS")
    instance.manage("zypper", "-n", "install", "--from", "tls", "lab-lib-009").require_success("zypper over TLS")
    assert guide.installed_version(instance, "lab-lib-009") == rpm_plan.FIRST_VERSION
    (instance.root / "etc/zypp/repos.d/tls.repo").unlink()


def test_an_update_job_by_the_oci_command_succeeds_on_both(world: World) -> None:
    guide.order_updates(world)
    assert guide.installed_version(world.instances["rpm1"], guidebook.UPDATED_RPM) == "2.0"


def test_upstream_was_asked_by_stations_alone(world: World) -> None:
    log = (world.lab["up"].directory / "access.log").read_text()
    stations = {station.on.address for station in world.stations.values()}
    assert {line.split()[4] for line in log.splitlines()} <= {*stations, world.lab["hub"].address}


def serving_station(world: World) -> str | None:
    """The station that the balancer has an open request at, on the mirror's HTTP port."""
    assert world.balancer is not None
    answer = balancer_watch.ask(world.balancer.socket, "show stat")
    rows = [line.split(",") for line in answer.lstrip("# ").splitlines() if line]
    columns = {name: number for number, name in enumerate(rows[0])}
    for row in rows[1:]:
        is_server = row[columns["type"]] == "2" and "https" not in row[columns["pxname"]].lower()
        if is_server and row[columns["mode"]] == "http" and int(row[columns["scur"]] or 0):
            address = row[columns["addr"]].rpartition(":")[0]
            for name, station in world.stations.items():
                if station.on.address == address:
                    return name
    return None


def test_a_station_killed_in_the_middle_of_a_dnf_download_is_not_noticed_by_dnf(world: World) -> None:
    instance = world.instances["rpm1"]
    instance.manage("dnf", "-y", "-q", "install", rpm_plan.BIG).require_success("Installing")
    running = instance.on.start(
        ["dnf", "-y", "--setopt=throttle=3M", "reinstall", rpm_plan.BIG],
        log="dnf.log",
        root=instance.root,
        environment={"HOME": "/root"},
    )
    name = waiting.until(lambda: serving_station(world), 20, "a download in progress", every=0.05)
    time.sleep(1.0)
    assert running.poll() is None
    with station_dead(world, name):
        assert running.wait(60) == 0, (instance.on.directory / "dnf.log").read_text()
        waiting.until(lambda: "Silent" in consult(world)[1], 20, "the doctor to miss the station")
        assert consult(world)[0] == 1
    payload = instance.root / "opt/lab" / rpm_plan.BIG / "payload"
    assert payload.stat().st_size == 12 << 20


def test_no_operation_fails_while_one_station_is_killed_and_the_other_frozen(world: World) -> None:
    outcome = guide.run_failures(world)
    print(failures.table(outcome))  # noqa: T201
    assert [words for words in outcome.failures() if words.startswith(("dnf", "apt", "agent", "GET http:"))] == []
    for event in outcome.events:
        assert outcome.effect(event, failures.OPERATIONS).done >= 5
        assert event.seconds_until_noticed is not None
        assert event.seconds_until_noticed < 3
        assert event.seconds_until_returned is not None
        assert outcome.effect(event, failures.REQUESTS).longest_stall < 3


def test_stations_go_on_serving_with_the_hub_dead(world: World) -> None:
    with hub_dead(world):
        time.sleep(8)  # longer than a station counts as confirmed: all are of last resort now
        deb = world.instances["deb1"]
        assert deb.manage("apt-get", "-o", "APT::Update::Error-Mode=any", "update").is_success
        assert world.instances["rpm1"].manage("dnf", "-y", "--refresh", "makecache").is_success
    for station in world.stations.values():
        station.wait_until_ready(60)
    scenario.wait_until_synced(world, 30)


def test_a_station_restarts_without_the_hub(world: World) -> None:
    station = world.stations["sta"]
    url = f"http://{station.on.address}:{guidebook.HTTP_PORT}/healthz?tier=serving"
    fetch = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url]
    instance = world.instances["rpm1"]
    with hub_dead(world):
        station.on.kill_all()
        station.start()
        waiting.until(lambda: station.on.run(fetch).stdout == "200", 30, "the station to serve without its hub")
        with station_dead(world, "stb"):
            waiting.until(
                lambda: instance.manage("dnf", "-y", "-q", "--refresh", "makecache").is_success,
                20,
                "dnf by one station",
            )
