import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stationmaster.lab import lab as labs
from stationmaster.lab import mounts, network, record, waiting
from stationmaster.lab.addressing import Direction, HostSpec, Network
from stationmaster.model import errors

pytestmark = pytest.mark.lab

SERVER = [sys.executable, "-m", "http.server", "8000", "--bind", "0.0.0.0"]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    return tmp_path / "labs-of-test"


@pytest.fixture
def lab(base: Path) -> Iterator[labs.Lab]:
    hosts = (
        HostSpec("one"),
        HostSpec("two"),
        HostSpec("lb", (Network.CORE, Network.EDGE)),
        HostSpec("inst", (Network.EDGE,)),
    )
    with labs.Lab.build(hosts, base=base) as made:
        yield made


def fetch(lab: labs.Lab, source: str, address: str, *, seconds: float = 0.8) -> bool:
    def attempt() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((address, 8000), seconds) as link:
            link.settimeout(seconds)
            link.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return link.recv(4) == b"HTTP"
        return False

    return lab[source].call(attempt)


def serve(lab: labs.Lab, name: str) -> None:
    lab[name].start(SERVER, log="http.log")
    deadline = time.monotonic() + 10
    while not fetch(lab, name, lab[name].address):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_hosts_reach_those_on_a_shared_network_and_nobody_else(lab: labs.Lab) -> None:
    serve(lab, "one")
    serve(lab, "lb")
    assert fetch(lab, "two", lab["one"].address)
    assert fetch(lab, "inst", lab["lb"].address_on(Network.EDGE))
    assert not fetch(lab, "inst", lab["one"].address)
    assert not fetch(lab, "inst", lab["lb"].address_on(Network.CORE))


def test_names_resolve_on_the_host_and_unknown_ones_fail_at_once(lab: labs.Lab) -> None:
    assert lab["one"].run(["getent", "ahostsv4", "two.lab"]).stdout.split()[0] == lab["two"].address
    before = time.monotonic()
    assert not lab["one"].run(["getent", "hosts", "no-such-name.invalid"]).is_success
    assert time.monotonic() - before < 3


def test_kill_reaches_daemons_and_what_they_fork(lab: labs.Lab) -> None:
    script = "import os,time\nfor _ in range(3):\n os.fork() or os.setsid()\ntime.sleep(60)"
    starter = f"import subprocess;subprocess.Popen({[sys.executable, '-c', script]!r})"
    lab["one"].start([sys.executable, "-c", starter], log="daemon.log").wait(5)
    deadline = time.monotonic() + 10
    while len(lab["one"].pids()) < 8:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert lab["one"].kill_all() >= 8
    assert lab["one"].pids() == []


def test_kill_closes_the_port_and_a_restart_opens_it(lab: labs.Lab) -> None:
    serve(lab, "one")
    lab["one"].kill_all()
    assert not fetch(lab, "two", lab["one"].address)
    serve(lab, "one")
    assert fetch(lab, "two", lab["one"].address)


def test_freeze_keeps_the_port_but_nobody_answers_until_thaw(lab: labs.Lab) -> None:
    serve(lab, "one")
    assert lab["one"].freeze() >= 1
    with contextlib.closing(
        lab["two"].call(lambda: socket.create_connection((lab["one"].address, 8000), 1.0))
    ) as accepted:
        accepted.settimeout(0.5)
        accepted.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(TimeoutError):
            accepted.recv(4)
    lab["one"].thaw()
    assert fetch(lab, "two", lab["one"].address, seconds=5)


def test_cut_and_heal(lab: labs.Lab) -> None:
    serve(lab, "one")
    lab["one"].cut()
    assert not fetch(lab, "two", lab["one"].address)
    assert fetch(lab, "one", "127.0.0.1")
    lab["one"].heal()
    assert fetch(lab, "two", lab["one"].address)
    lab["one"].heal()


def test_one_sided_cut_and_cut_from_one_peer(lab: labs.Lab) -> None:
    serve(lab, "one")
    serve(lab, "two")
    lab["one"].cut(peers=[lab["two"]])
    assert not fetch(lab, "two", lab["one"].address)
    assert fetch(lab, "lb", lab["one"].address)
    lab["one"].cut(Direction.OUTGOING)
    assert not fetch(lab, "one", lab["two"].address)
    ping = lab["one"].run(["nft", "list", "ruleset"]).stdout
    assert "hook input" not in ping


def test_close_removes_processes_namespaces_mounts_and_files(base: Path) -> None:
    with labs.Lab.build((HostSpec("one"),), base=base) as made:
        volume = made.mounts.make_volume(made["one"], size_bytes=4 << 20)
        made["one"].start(["sleep", "600"], log="sleep.log")
        namespaces = made.plan.namespaces
        assert os.path.ismount(volume)
    assert not any((network.NAMESPACES / name).exists() for name in namespaces)
    assert not any((network.PER_NAMESPACE_ETC / name).exists() for name in namespaces)
    assert not made.directory.exists()
    made.close()


def test_a_lab_of_a_dead_process_is_removed_by_another(base: Path) -> None:
    script = (
        "import os,sys,pathlib\nfrom stationmaster.lab import lab\nfrom stationmaster.lab.addressing import HostSpec\n"
        "made=lab.Lab.build((HostSpec('one'),),base=pathlib.Path(sys.argv[1]))\n"
        "made['one'].start(['sleep','600'],log='l')\nmade.mounts.make_volume(made['one'],size_bytes=1<<20)\nos._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, base], check=False)
    (found,) = record.find_records(base)
    (process,) = found.processes
    assert record.is_alive(process)
    assert labs.remove_leftovers(base) == [found.lab_id]
    assert not record.is_alive(process)
    assert not any((network.NAMESPACES / name).exists() for name in found.namespaces)
    assert labs.remove_leftovers(base) == []


def test_leftover_removal_spares_labs_whose_process_lives(lab: labs.Lab, base: Path) -> None:
    assert labs.remove_leftovers(base) == []
    assert lab["one"].run(["true"]).is_success


def test_a_lab_that_fails_half_way_leaves_nothing(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(network.NAMESPACES.iterdir()) if network.NAMESPACES.exists() else set()

    def broken(*_: object) -> str:
        return "link add name nonsense type no-such-type\n"

    monkeypatch.setattr("stationmaster.lab.addressing.render_address_batch", broken)
    with pytest.raises(errors.ProgramFailedError):
        labs.Lab.build((HostSpec("one"),), base=base)
    mine = {path for path in set(network.NAMESPACES.iterdir()) - before if record.find_records(base)}
    assert mine == set()
    assert list((base / "labs").iterdir()) == []


def test_files_are_not_removed_through_a_mount_that_stays(base: Path) -> None:
    made = labs.Lab.build((HostSpec("one"),), base=base)
    volume = made.mounts.make_volume(made["one"], size_bytes=1 << 20)
    recorded = list(made.notes.record.mounts)
    made.notes.record.mounts.clear()
    try:
        with pytest.raises(errors.HostError, match="Still mounted"):
            made.close()
        assert volume.is_dir()
    finally:
        mounts.unmount_all(made.programs, recorded)
        made.close()


def test_a_base_that_others_may_write_is_refused(base: Path) -> None:
    base.mkdir()
    base.chmod(0o777)
    with pytest.raises(errors.HostError, match="only this user may write"):
        labs.Lab.build((HostSpec("one"),), base=base)


def test_volumes_fill_up_turn_read_only_go_away_and_come_back(lab: labs.Lab) -> None:
    volume = lab.mounts.make_volume(lab["one"], size_bytes=4 << 20)
    lab["one"].start(
        ["sh", "-c", f"while sleep 0.1; do test -e {volume}/here && date +%N > seen; done"], log="watch.log"
    )
    (volume / "here").write_text("x")
    filler = mounts.fill_volume(volume)
    with pytest.raises(OSError, match="No space left"):
        (volume / "more").write_bytes(b"x" * 65536)
    filler.unlink()
    (volume / "more").write_bytes(b"x" * 65536)
    seen = lab["one"].directory / "seen"
    time.sleep(0.5)
    assert seen.exists()
    lab.mounts.turn_read_only(volume)
    with pytest.raises(OSError, match="Read-only"):
        (volume / "more").write_bytes(b"x")
    lab.mounts.turn_writable(volume)
    (volume / "more").write_bytes(b"x")
    lab.mounts.detach_volume(volume)
    time.sleep(0.3)
    seen.unlink(missing_ok=True)
    time.sleep(0.5)
    assert not seen.exists()
    assert not (volume / "here").exists()
    lab.mounts.attach_volume(volume)
    waiting.until(seen.exists, 10, "the host to see its volume again")
