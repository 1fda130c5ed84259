"""The station's URL space on a real nginx: what is served, to whom, and what never is."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import ipaddress
import os
import signal
import ssl
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from stationmaster.api_client import keys
from stationmaster.host import engine_process, local_server
from stationmaster.host import files as host_files
from stationmaster.hub.services.authority import Authority, make_authority
from stationmaster.model import errors
from stationmaster.station import certificates
from stationmaster.station.sites import program, serving, spec
from stationmaster.testing import loopback, sites
from stationmaster.testing.sites import FORMER, GENERATION, SOURCE

CLIENT = "127.0.0.2"
BALANCER = "127.0.0.9"
PEER = "ocid1.osmhmanagementstation.oc1..b78d34fdcb084de207eba7b0705c0a1c1d063398"
PINNED = f"/g/{SOURCE}/{GENERATION}"


def make_certificate(directory: Path, name: str = "one") -> spec.Certificate:
    chain, key = directory / f"{name}.pem", directory / f"{name}-key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-keyout", key, "-out", chain],
        check=True, capture_output=True,
    )  # fmt: skip
    return spec.read_certificate(chain, key)


@pytest.fixture
def record(place: sites.Place) -> serving.ServingRecord:
    return serving.ServingRecord(place.state / "serving", host_files.Files())


@pytest.fixture
def site(place: sites.Place, doors: engine_process.Doors) -> program.NginxSite:
    made = program.NginxSite(place.nginx_spec(), doors)
    kept = made.keep(place.nginx_spec())
    assert kept.problem is None
    return made


@pytest.mark.usefixtures("site")
def test_url_space(place: sites.Place) -> None:
    port = place.direct.http
    package = place.mirror / "published" / SOURCE / "Packages" / "c++-1.0~a.x86_64.rpm"
    expected = {
        f"{PINNED}/repodata/repomd.xml": b"<new/>",
        f"/g/{SOURCE}/{FORMER}/repodata/repomd.xml": b"<old/>",
        f"{PINNED}/InRelease": b"new root",
        f"{PINNED}/Packages/c++-1.0~a.x86_64.rpm": package.read_bytes(),
        f"{PINNED}/Packages/c%2B%2B-1.0%7Ea.x86_64.rpm": package.read_bytes(),
        f"{PINNED}/Packages/linked.rpm": package.read_bytes(),
        f"/g/{SOURCE}/{'f' * 32}/Packages/linked.rpm": package.read_bytes(),
        f"/m/{SOURCE}": b"http list\n",
        f"/u/{SOURCE}/repodata/repomd.xml": b"<new/>",
        f"/u/{SOURCE}/Packages/linked.rpm": package.read_bytes(),
        f"/u/{SOURCE}/repodata/{'ab' * 32}-old.xml.gz": b"old",
        f"/keys/{SOURCE}.asc": b"key\n",
        "/instance-setup.sh": b"#!/bin/sh\n",
        "/ca.pem": b"CA\n",
    }
    found = {path: loopback.fetch(port, path, source=CLIENT) for path in expected}
    assert {path: (answer.status, answer.body) for path, answer in found.items()} == {
        path: (200, body) for path, body in expected.items()
    }
    listing = found[f"/m/{SOURCE}"].headers
    assert listing["cache-control"] == "no-store"
    assert listing["content-type"] == "text/plain"
    assert "nginx/" not in listing["server"]
    assert all("x-request-id" in answer.headers for answer in found.values())
    assert all("content-encoding" not in answer.headers for answer in found.values())


@pytest.mark.usefixtures("site")
def test_a_client_that_comes_by_the_stations_own_name_stays_there(place: sites.Place) -> None:
    hostname, path = place.nginx_spec().hostname, f"/m/{SOURCE}"
    text = f"http://{hostname}:{place.direct.http}{PINNED}/\n"
    (place.state / "www" / "m-http" / SOURCE).write_text(text)
    asked = loopback.fetch(place.direct.http, path, source=CLIENT)
    assert asked.body.decode() == f"http://test{PINNED}/\n"
    through = loopback.fetch(place.balancer.http, path, source=BALANCER, proxy_header=loopback.proxy_line(CLIENT))
    assert through.body.decode() == text


def test_zypper_gets_its_own_directory_of_cas_behind_the_address(
    place: sites.Place, site: program.NginxSite, tmp_path: Path
) -> None:
    assert site.keep(place.nginx_spec(certificate=make_certificate(tmp_path))).problem is None
    hostname = place.nginx_spec().hostname
    (place.state / "www" / "m-https" / SOURCE).write_text(f"https://{hostname}:{place.direct.https}{PINNED}/\n")

    def ask(path: str, port: int = place.direct.https) -> str:
        command = ["curl", "-sk", "--interface", CLIENT, f"https://{hostname}:{port}{path}"]
        resolve = ["--connect-to", f"{hostname}:{port}:127.0.0.1:{port}", "--path-as-is"]
        return subprocess.run([*command, *resolve], capture_output=True, text=True, check=True).stdout

    base = f"https://{hostname}:{place.direct.https}{PINNED}/"
    assert ask(f"/m/{SOURCE}") == f"{base}\n"
    assert ask(f"/m/{SOURCE}/capath/r-1/etc/trust") == f"{base}?ssl_capath=/r-1/etc/trust\n"
    for hostile in ("/a%0ahttp://elsewhere/", "/a%20b", "/a?b=c&ssl_verify=no", "/a%26ssl_verify=no", "", "x"):
        assert "elsewhere" not in ask(f"/m/{SOURCE}/capath{hostile}")
        assert "verify" not in ask(f"/m/{SOURCE}/capath{hostile}")


ABSENT = [
    f"{PINNED}/Release",  # would be another generation's
    f"/u/{SOURCE}/Release",
    f"{PINNED}/repodata",  # a directory is no redirect
    f"{PINNED}/repodata/",
    f"{PINNED}/Packages",
    f"{PINNED}/Packages/",
    f"{PINNED}/",
    f"{PINNED}/.metadata/x",
    f"{PINNED}/../../../../state/key.pem",
    f"{PINNED}/%2e%2e/%2e%2e/%2e%2e/%2e%2e/state/key.pem",
    f"/u/{SOURCE}/../../../key.pem",
    f"/u/{SOURCE}/repodata/",
    "/m/absent",
    "/m/",
    "/m/..",
    "/keys/../key.pem",
    "/key.pem",
    "/",
    "/serving",
    "/published/",
    "/.stationmaster/volume.json",
]


@pytest.mark.usefixtures("site")
def test_everything_else_is_absent(place: sites.Place) -> None:
    found = {path: loopback.fetch(place.direct.http, path, source=CLIENT) for path in ABSENT}
    assert {path: answer.status for path, answer in found.items() if answer.status not in (400, 404)} == {}
    assert [path for path, answer in found.items() if "location" in answer.headers] == []


def test_only_permitted_addresses_come_in(place: sites.Place, site: program.NginxSite) -> None:
    paths = [f"{PINNED}/InRelease", f"/m/{SOURCE}", f"/u/{SOURCE}/InRelease", f"/keys/{SOURCE}.asc"]
    for path in [*paths, "/instance-setup.sh", "/ca.pem", "/absent"]:
        assert loopback.fetch(place.direct.http, path, source="127.0.0.3").status == 403, path
    nobody = place.nginx_spec(permitted=())
    assert site.keep(nobody).is_changed
    assert loopback.fetch(place.direct.http, f"{PINNED}/InRelease", source=CLIENT).status == 403
    with loopback.UnixHealth(place.state / "daemon.sock").running():
        assert loopback.fetch(place.direct.http, "/healthz", source="127.0.0.3").status == 200


@pytest.mark.usefixtures("site")
def test_reading_methods_only_and_ranges(place: sites.Place) -> None:
    port, path = place.direct.http, f"{PINNED}/Packages/linked.rpm"
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert loopback.fetch(port, path, source=CLIENT, method=method).status == 405
    head = loopback.fetch(port, path, source=CLIENT, method="HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, "10240", b"")
    etag = head.headers["etag"]
    part = loopback.fetch(port, path, source=CLIENT, headers={"Range": "bytes=5-9", "If-Range": etag})
    assert (part.status, part.body) == (206, bytes([5, 6, 7, 8, 9]))
    assert loopback.fetch(port, path, source=CLIENT, headers={"Range": "bytes=99999-"}).status == 416
    whole = loopback.fetch(port, path, source=CLIENT, headers={"Range": "bytes=5-9", "If-Range": '"other"'})
    assert (whole.status, len(whole.body)) == (200, 10240)
    assert loopback.fetch(port, path, source=CLIENT, headers={"If-None-Match": etag}).status == 304


@pytest.mark.usefixtures("site")
def test_balancer_port_takes_balancers_only_and_checks_whom_they_speak_for(place: sites.Place) -> None:
    port, path = place.balancer.http, f"{PINNED}/InRelease"

    def ask(source: str, client: str | None, path: str = path) -> int:
        header = loopback.proxy_line(client) if client else "PROXY UNKNOWN\r\n"
        return loopback.fetch(port, path, source=source, proxy_header=header).status

    assert ask(BALANCER, CLIENT) == 200
    assert ask(BALANCER, "127.0.0.3") == 403
    assert ask(CLIENT, CLIENT) == 0  # a permitted client by itself
    assert ask(CLIENT, BALANCER) == 0
    assert ask("127.0.0.3", CLIENT) == 0
    assert loopback.fetch(port, path, source=BALANCER).status == 0  # no PROXY protocol
    with loopback.UnixHealth(place.state / "daemon.sock").running():
        assert ask(BALANCER, None, "/healthz") == 200
        assert ask(BALANCER, None) == 403
        assert ask("127.0.0.3", None, "/healthz") == 0
    # The direct port believes nobody's word.
    forged = loopback.fetch(place.direct.http, path, source=BALANCER, proxy_header=loopback.proxy_line(CLIENT))
    assert forged.status in (0, 400)
    headers = {"X-Forwarded-For": CLIENT, "X-Real-IP": CLIENT}
    assert loopback.fetch(place.direct.http, path, source="127.0.0.3", headers=headers).status == 403


def test_without_balancers_their_ports_serve_nobody(place: sites.Place, site: program.NginxSite) -> None:
    site.keep(place.nginx_spec(balancer_addresses=()))
    line = loopback.proxy_line(CLIENT)
    for path in ("/healthz", f"{PINNED}/InRelease"):
        assert loopback.fetch(place.balancer.http, path, source=BALANCER, proxy_header=line).status == 0


@pytest.mark.usefixtures("site")
def test_health_is_the_daemons_word(place: sites.Place, record: serving.ServingRecord) -> None:
    port = place.direct.http
    health = loopback.UnixHealth(place.state / "daemon.sock")
    with health.running():
        assert loopback.fetch(port, "/healthz").status == 200
        health.status = 503
        answer = loopback.fetch(port, "/healthz?tier=serving")
        assert (answer.status, answer.json()["readiness"]) == (503, "NO")
        assert health.asked == ["/healthz", "/healthz?tier=serving"]
        record.renew(datetime.datetime.now(datetime.UTC))
        assert loopback.fetch(port, "/healthz?tier=serving").status == 503  # the living daemon's word goes first


@pytest.mark.usefixtures("site")
def test_silent_daemon_leaves_the_last_resort_tier_for_a_minute(
    place: sites.Place, record: serving.ServingRecord
) -> None:
    port = place.direct.http

    def statuses() -> tuple[int, int]:
        return loopback.fetch(port, "/healthz").status, loopback.fetch(port, "/healthz?tier=serving").status

    assert statuses() == (503, 503)
    record.renew(datetime.datetime.now(datetime.UTC))
    assert statuses() == (503, 200)
    answer = loopback.fetch(port, "/healthz?tier=serving")
    assert answer.json()["readiness"] == "LAST_RESORT"
    assert answer.headers["content-type"] == "application/json"
    health = loopback.UnixHealth(place.state / "daemon.sock")
    with health.running():
        health.freeze()
        before = time.monotonic()
        assert statuses() == (503, 200)
        assert time.monotonic() - before < 2.5
        assert loopback.fetch(port, "/healthz").json()["readiness"] == "NO"
    record.withdraw()
    assert statuses() == (503, 503)
    slots = place.state / "serving"
    slots.joinpath(str(int(time.time()) // 10 - 1)).write_text("{}")
    assert statuses() == (503, 503)


@pytest.mark.usefixtures("site")
def test_unready_reads_404_where_the_balancer_asks_so(place: sites.Place, record: serving.ServingRecord) -> None:
    """HAProxy then leaves running tunnels alone, instead of cutting them as those of a dead station."""

    def statuses() -> tuple[int, ...]:
        paths = ("/healthz?unready=404", "/healthz?tier=serving&unready=404", "/.healthz")
        return tuple(loopback.fetch(place.direct.http, path).status for path in paths)

    assert statuses() == (404, 404, 404)
    record.renew(datetime.datetime.now(datetime.UTC))
    assert statuses() == (404, 200, 404)
    health = loopback.UnixHealth(place.state / "daemon.sock")
    with health.running():
        assert statuses() == (200, 200, 404)
        assert health.asked == ["/healthz", "/healthz?tier=serving"]
        health.status = 503
        assert statuses() == (404, 404, 404)


def test_https_serves_the_same_and_its_own_list(place: sites.Place, doors: engine_process.Doors) -> None:
    certificate = make_certificate(place.state)
    wanted = place.nginx_spec(certificate=certificate)
    site = program.NginxSite(wanted, doors)
    assert site.keep(wanted).problem is None

    def curl(*arguments: str) -> str:
        done = subprocess.run(["curl", "-sk", "-m", "5", *arguments], capture_output=True, text=True, check=False)
        return done.stdout

    direct = f"https://127.0.0.1:{place.direct.https}"
    behind = f"https://127.0.0.1:{place.balancer.https}"
    assert curl("--interface", CLIENT, f"{direct}{PINNED}/InRelease") == "new root"
    assert curl("--interface", CLIENT, f"{direct}/m/{SOURCE}") == "https list\n"
    assert "403" in curl("-i", "--interface", "127.0.0.3", f"{direct}/m/{SOURCE}")
    assert curl("--interface", CLIENT, f"{behind}/m/{SOURCE}") == ""
    assert "403" in curl("-i", "--haproxy-protocol", "--interface", BALANCER, f"{behind}/m/{SOURCE}")
    # A renewal under the same file names is a difference, and is served from then on.
    assert not site.keep(wanted).is_changed
    os.replace(place.state / "one.pem", place.state / "former.pem")
    renewed = make_certificate(place.state)
    assert site.keep(place.nginx_spec(certificate=renewed)).is_changed
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{place.direct.https}"],
        input="",
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert renewed.chain.read_text().split("\n")[1] in shown


@pytest.fixture
def daemon(place: sites.Place) -> Iterator[list[str]]:
    """Answers as the station's daemon would, and keeps what it was asked."""
    asked: list[str] = []

    def broken() -> Iterator[bytes]:
        yield b"x" * 70_000
        raise errors.PeerError("other bytes than promised")

    def answer(_: str, target: str) -> local_server.LocalAnswer:
        asked.append(target)
        if target.startswith("/union/") and target.endswith("-held.xml"):
            held = f"/.held/{SOURCE}/{FORMER}/tree/repodata/repomd.xml"
            return local_server.LocalAnswer(200, {"X-Accel-Redirect": held}, b"")
        if target.endswith("broken.rpm"):
            return local_server.LocalAnswer(200, {"Content-Length": "100000"}, broken())
        if target.endswith("lost.rpm"):
            return local_server.LocalAnswer(200, {"Content-Length": "8"}, iter([b"from", b"peer"]))
        status = 404 if target.endswith("InRelease") else 503
        headers = {"Content-Type": "application/json", "Retry-After": "1", "X-Stationmaster-Miss": "Why"}
        return local_server.LocalAnswer(status, headers, b'{"code":"Why"}')

    server = local_server.LocalServer(place.state / "daemon.sock", answer, host_files.Files())
    yield asked
    server.close()


@pytest.mark.usefixtures("site")
def test_a_miss_is_judged_by_the_daemon(place: sites.Place, daemon: list[str]) -> None:
    def ask(path: str, **headers: str) -> loopback.Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return loopback.fetch(place.direct.http, path, source=CLIENT, headers=named)

    assert ask(f"{PINNED}/Packages/lost.rpm").body == b"frompeer"
    assert ask(f"{PINNED}/Packages/lost.rpm", Range="bytes=2-3").status in {200, 206}
    absent = ask(f"{PINNED}/dists/x/InRelease")
    assert (absent.status, absent.body, absent.headers["x-stationmaster-miss"]) == (404, b'{"code":"Why"}', "Why")
    again = ask(f"{PINNED}/Packages/c%2B%2B%20%3F%25.rpm")
    assert (again.status, again.headers["retry-after"]) == (503, "1")
    assert ask(f"{PINNED}/Packages/lost.rpm", X_Stationmaster_Hop="1").status == 200
    rest = f"/{SOURCE}/{GENERATION}/Packages"
    assert daemon[0] == f"/fill{rest}/lost.rpm"
    assert urllib.parse.unquote(daemon[3]) == f"/fill{rest}/c++ ?%.rpm"
    assert "?" not in daemon[3]
    assert daemon[4] == f"/lack{rest}/lost.rpm"


@pytest.mark.usefixtures("site")
def test_the_unpinned_tree_asks_the_daemon_which_generation_has_a_path(place: sites.Place, daemon: list[str]) -> None:
    base, hashed = f"/u/{SOURCE}", f"repodata/{'cd' * 32}-held.xml"

    def ask(path: str, **headers: str) -> loopback.Answer:
        return loopback.fetch(place.direct.http, path, source=CLIENT, headers=headers)

    assert ask(f"{base}/{hashed}").body == b"<old/>"
    part = ask(f"{base}/{hashed}", Range="bytes=1-3")
    assert (part.status, part.body) == (206, b"old")
    assert ask(f"{base}/Packages/lost.rpm").body == b"frompeer"
    assert ask(f"{base}/dists/x/InRelease").status == 404
    assert daemon[0] == f"/union/{SOURCE}/{hashed}"
    assert ask(f"/.held/{SOURCE}/{FORMER}/tree/repodata/repomd.xml").status == 404, "for the daemon's answers alone"
    assert loopback.fetch(place.direct.http, f"{base}/{hashed}", source="127.0.0.3").status == 403


@pytest.mark.usefixtures("site")
def test_without_the_daemon_what_an_index_named_is_asked_for_again(place: sites.Place) -> None:
    def status(path: str) -> int:
        return loopback.fetch(place.direct.http, f"/u/{SOURCE}/{path}", source=CLIENT).status

    assert (status("Packages/lost.rpm"), status("dists/x/InRelease")) == (503, 404)


@pytest.mark.usefixtures("site", "daemon")
def test_a_fill_with_other_bytes_breaks_the_connection(place: sites.Place) -> None:
    made = http.client.HTTPConnection("127.0.0.1", place.direct.http, timeout=5, source_address=(CLIENT, 0))
    with contextlib.closing(made) as connection:
        connection.request("GET", f"{PINNED}/Packages/broken.rpm")
        answer = connection.getresponse()
        assert answer.headers["Content-Length"] == "100000"
        with pytest.raises(http.client.IncompleteRead):
            answer.read()


@pytest.mark.usefixtures("site")
def test_without_the_daemon_only_metadata_is_known_to_be_absent(place: sites.Place) -> None:
    """apt asks for an InRelease that many archives do not have; a package that an index names must come again."""
    expected = {
        f"{PINNED}/dists/x/InRelease": 404,
        f"{PINNED}/Packages/absent.rpm": 503,
        f"{PINNED}/dists/x/by-hash/SHA256/00": 503,
        f"/g/{SOURCE}/{'e' * 32}/repodata/repomd.xml": 503,
    }
    found = {path: loopback.fetch(place.direct.http, path, source=CLIENT) for path in expected}
    assert {path: answer.status for path, answer in found.items()} == expected
    assert found[f"{PINNED}/Packages/absent.rpm"].headers["retry-after"] == "1"


def make_member(directory: Path, authority: Authority, holder: str) -> spec.Certificate:
    """What the hub signs for a station; empty holder: as it signs for itself."""
    key = keys.make_private_key()
    (directory / f"{holder}.key").write_bytes(keys.private_pem(key))
    chain = authority.issue(certificates.make_request(key, "lb"), ["lb.example"], now(), holder=holder)
    (directory / f"{holder}.pem").write_text(chain)
    return spec.read_certificate(directory / f"{holder}.pem", directory / f"{holder}.key")


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def test_peers_read_trees_by_their_certificate(place: sites.Place, doors: engine_process.Doors, tmp_path: Path) -> None:
    """ADR 14: a certificate of the hub that names a station of the group; nothing else opens trees, and only those."""
    ours, others = (Authority.load(*make_authority("CA", now())) for _ in range(2))
    mine = make_member(place.state, ours, "ocid1.station.a")
    wanted = place.nginx_spec(certificate=mine, authority=mine.chain, peers=(PEER,))
    assert program.NginxSite(wanted, doors).keep(wanted).problem is None
    makers = {
        "peer": (ours, PEER),
        "stranger": (ours, "ocid1.station.c"),
        "hub": (ours, ""),
        "forged": (others, PEER),
    }
    shown = {}
    for name, (authority, holder) in makers.items():
        (tmp_path / name).mkdir()
        shown[name] = make_member(tmp_path / name, authority, holder)

    def status(name: str, path: str, port: int = place.direct.https, source: str = "127.0.0.5") -> int:
        context = ssl._create_unverified_context()  # noqa: S323 - who asks is what is tested
        if name:
            context.load_cert_chain(shown[name].chain, shown[name].key)
        made = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context, source_address=(source, 0))
        with contextlib.closing(made) as connection:
            connection.request("GET", path)
            return connection.getresponse().status

    root = f"{PINNED}/repodata/repomd.xml"
    assert {name: status(name, root) for name in ("", *shown)} == {
        "": 403, "peer": 200, "stranger": 403, "hub": 400, "forged": 403,
    }  # fmt: skip
    assert [status("peer", path) for path in (f"/m/{SOURCE}", f"/u/{SOURCE}/InRelease", "/ca.pem")] == [403] * 3
    # A client that shows some certificate of its own is a client like any other.
    assert {status(name, root, source=CLIENT) for name in ("", "peer", "stranger", "forged")} == {200}
    # Who left the group is out with the next configuration, whatever its certificate says.
    alone = place.nginx_spec(certificate=mine, authority=mine.chain)
    assert program.NginxSite(alone, doors).keep(alone).problem is None
    assert status("peer", root) == 403


def test_a_silent_volume_is_not_looked_at(place: sites.Place, doors: engine_process.Doors) -> None:
    wanted = place.nginx_spec(is_volume_silent=True)
    assert program.NginxSite(wanted, doors).keep(wanted).problem is None
    for path in (f"{PINNED}/InRelease", f"/u/{SOURCE}/InRelease"):
        answer = loopback.fetch(place.direct.http, path, source=CLIENT)
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert loopback.fetch(place.direct.http, f"/m/{SOURCE}", source=CLIENT).status == 200


@pytest.mark.usefixtures("site")
def test_a_switch_is_seen_at_once(place: sites.Place) -> None:
    link = place.state / "www" / "u" / SOURCE
    for number in range(20):
        target = place.mirror / "generations" / SOURCE / (GENERATION if number % 2 else FORMER) / "tree"
        fresh = link.with_name("fresh")
        fresh.symlink_to(target)
        os.replace(fresh, link)
        found = loopback.fetch(place.direct.http, f"/u/{SOURCE}/repodata/repomd.xml", source=CLIENT).body
        assert found == (target / "repodata" / "repomd.xml").read_bytes()


def test_a_running_download_outlives_a_reload(place: sites.Place, site: program.NginxSite) -> None:
    big = place.mirror / "published" / SOURCE / "big.rpm"
    with big.open("wb") as stream:
        stream.truncate(6 << 20)
    download = subprocess.Popen(
        ["curl", "-s", "--limit-rate", "3M", "--interface", CLIENT, "-o", "/dev/null", "-w", "%{size_download}",
         f"http://127.0.0.1:{place.direct.http}{PINNED}/big.rpm"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(0.5)
    assert site.keep(place.nginx_spec(permitted=(ipaddress.ip_network("127.0.0.0/8"),))).is_changed
    out, _ = download.communicate(timeout=20)
    assert (download.returncode, out) == (0, str(6 << 20))


def test_frozen_workers_are_restarted_when_told(place: sites.Place, site: program.NginxSite) -> None:
    pid = site.keeper.pid()
    assert pid is not None
    for one in _family(pid):
        os.kill(one, signal.SIGSTOP)
    site.keeper.restart_wedged()
    assert site.keeper.pid() is None
    time.sleep(1.1)  # it was started a moment ago, and one that dies at once is left alone for a second
    assert site.keep(place.nginx_spec()).is_running
    assert loopback.fetch(place.direct.http, f"/m/{SOURCE}", source=CLIENT).status == 200


def _family(pid: int) -> list[int]:
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [pid, *map(int, children)]


def test_metrics_are_for_those_who_were_named_and_never_on_balancer_ports(
    place: sites.Place, doors: engine_process.Doors
) -> None:
    monitors = (ipaddress.ip_network("127.0.0.5/32"),)
    made = program.NginxSite(place.nginx_spec(), doors)
    health = loopback.UnixHealth(place.state / "daemon.sock")
    with health.running():
        assert made.keep(place.nginx_spec()).problem is None
        assert loopback.fetch(place.direct.http, "/metrics", source=CLIENT).status == 404
        assert made.keep(place.nginx_spec(monitors=monitors)).problem is None
        assert loopback.fetch(place.direct.http, "/metrics", source="127.0.0.5").status == 200
        assert loopback.fetch(place.direct.http, "/metrics", source=CLIENT).status == 404
        assert health.asked == ["/metrics"]
        for speaker in ("127.0.0.5", BALANCER):
            line = loopback.proxy_line("127.0.0.5")
            answer = loopback.fetch(place.balancer.http, "/metrics", source=speaker, proxy_header=line)
            assert answer.status in {0, 403, 404}
        assert health.asked == ["/metrics"]
