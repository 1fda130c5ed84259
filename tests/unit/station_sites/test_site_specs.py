"""What goes into the texts of nginx and squid, and that they are these."""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
from pathlib import Path

import pytest

from stationmaster.host import engine_process
from stationmaster.host import files as host_files
from stationmaster.model import errors, forward_proxy, port_change, ports
from stationmaster.station.sites import nginx, serving, spec, squid

GOLDEN = Path(__file__).parent / "golden"
NGINX = spec.NginxSpec(
    state_directory=Path("/var/lib/stationmaster"),
    mirror_directory=Path("/srv/mirror"),
    hostname="updates.example.com",
    direct=ports.PortTriple(16080, 17080, 17443),
    balancer=ports.PortTriple(16081, 17081, 17444),
    permitted=(ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("2001:db8::/32")),
    balancer_addresses=("10.0.0.5", "10.0.0.4"),
    peers=("ocid1.station.b",),
    authority=Path("/var/lib/stationmaster/station/certificate/chain.pem"),
    certificate=spec.Certificate(Path("/var/lib/s/c.pem"), Path("/var/lib/s/k.pem"), "abc"),
    probe_token="token",
)
SQUID = spec.SquidSpec(
    state_directory=Path("/var/lib/stationmaster"),
    service_name="smtest",
    direct=NGINX.direct,
    balancer=NGINX.balancer,
    permitted=NGINX.permitted,
    balancer_addresses=NGINX.balancer_addresses,
    hub=spec.HubTarget(("Hub.Example.com.", "10.0.0.1"), 8443, ("10.0.0.1", "10.0.0.2")),
    forward=forward_proxy.ForwardProxy("proxy.example.com", 3128, "me", 'a "b" #c'),
)


def test_nginx_text() -> None:
    assert nginx.render_nginx(NGINX) == (GOLDEN / "nginx.conf").read_text()


def test_squid_text() -> None:
    rendered = squid.render_squid(SQUID)
    assert rendered.configuration == (GOLDEN / "squid.conf").read_text()
    assert rendered.hosts == "10.0.0.1 hub.example.com\n10.0.0.2 hub.example.com\n"


def test_order_of_input_changes_nothing() -> None:
    turned = dataclasses.replace(
        NGINX,
        permitted=NGINX.permitted[::-1],
        balancer_addresses=(*NGINX.balancer_addresses[::-1], "::ffff:10.0.0.4"),
        peers=NGINX.peers * 1,
    )
    assert nginx.render_nginx(turned) == nginx.render_nginx(NGINX)
    hub = dataclasses.replace(SQUID.hub, names=SQUID.hub.names[::-1], addresses=SQUID.hub.addresses[::-1])
    assert squid.render_squid(dataclasses.replace(SQUID, hub=hub)) == squid.render_squid(SQUID)


def test_a_renewed_certificate_and_a_moved_hub_are_differences() -> None:
    assert NGINX.certificate is not None
    renewed = dataclasses.replace(NGINX, certificate=dataclasses.replace(NGINX.certificate, digest="def"))
    assert nginx.render_nginx(renewed) != nginx.render_nginx(NGINX)
    moved = dataclasses.replace(SQUID, hub=dataclasses.replace(SQUID.hub, addresses=("10.0.0.9",)))
    assert squid.render_squid(moved).configuration != squid.render_squid(SQUID).configuration


def test_an_empty_range_permits_nobody() -> None:
    text = squid.render_squid(dataclasses.replace(SQUID, permitted=())).configuration
    assert "http_access allow" not in text
    assert "http_access deny all" in text
    text = nginx.render_nginx(dataclasses.replace(NGINX, permitted=()))
    assert "$is_permitted {\n        default 0;\n    }" in text


def test_without_a_certificate_there_is_no_https() -> None:
    plain = dataclasses.replace(NGINX, certificate=None)
    assert nginx.nginx_ports(plain) == (17080, 17081)
    assert nginx.nginx_ports(NGINX) == (17080, 17081, 17443, 17444)
    assert "ssl_certificate" not in nginx.render_nginx(plain)


@pytest.mark.parametrize(
    "path", ["relative", "/srv/my mirror", '/srv/"', "/srv/$x", "/srv/a;b", "/srv/a\nb", "/srv/{}"]
)
def test_paths_that_the_engines_cannot_be_given_are_refused_by_name(path: str) -> None:
    with pytest.raises(errors.CallerError, match="mirror directory"):
        dataclasses.replace(NGINX, mirror_directory=Path(path))
    with pytest.raises(errors.CallerError, match="state directory"):
        dataclasses.replace(SQUID, state_directory=Path(path))


def test_a_state_directory_too_deep_for_a_socket_is_refused() -> None:
    with pytest.raises(errors.CallerError, match="too long"):
        dataclasses.replace(NGINX, state_directory=Path("/" + "d" * 100))


def test_a_proxy_without_a_hub_or_name_is_refused() -> None:
    with pytest.raises(errors.CallerError, match="no hub"):
        dataclasses.replace(SQUID, hub=spec.HubTarget((), 443))
    with pytest.raises(errors.CallerError, match="service name"):
        dataclasses.replace(SQUID, service_name="sm-1")


def test_service_names_differ_by_station_place_and_user() -> None:
    names = {
        spec.squid_service_name(station, Path(place), user)
        for station in ("a", "b")
        for place in ("/x", "/y")
        for user in ("proxy", None)
    }
    assert len(names) == 8
    assert all(name.isalnum() and len(name) <= 32 for name in names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://proxy.example.com:3128", forward_proxy.ForwardProxy("proxy.example.com", 3128)),
        ("proxy.example.com:3128/", forward_proxy.ForwardProxy("proxy.example.com", 3128)),
        ("proxy", forward_proxy.ForwardProxy("proxy", 80)),
        ("[2001:db8::1]:3128", forward_proxy.ForwardProxy("2001:db8::1", 3128)),
        ("http://me:p%40w%20x@10.0.0.1:80", forward_proxy.ForwardProxy("10.0.0.1", 80, "me", "p@w x")),
    ],
)
def test_forward_proxy(text: str, expected: forward_proxy.ForwardProxy) -> None:
    assert forward_proxy.parse_forward_proxy(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "https://proxy:1", "http://p:0", "http://p:99999", "me:secret@p: 1", "p: 80", "http://me:se@cret@[p", "a#b:1"],
)
def test_no_forward_proxy(text: str) -> None:
    with pytest.raises(errors.CallerError, match="forward") as caught:
        forward_proxy.parse_forward_proxy(text)
    assert "secret" not in str(caught.value)


def test_serving_slots_end_within_a_minute() -> None:
    now = datetime.datetime(2026, 1, 1, 0, 0, 9, tzinfo=datetime.UTC)
    names = [int(name) for name in serving.slot_names(now)]
    assert names[0] == int(now.timestamp()) // 10
    last_moment = (names[-1] + 1) * 10
    assert 50 <= last_moment - now.timestamp() <= 60


def test_serving_record_writes_what_is_missing_and_takes_back(tmp_path: Path) -> None:
    record = serving.ServingRecord(tmp_path / "serving", host_files.Files())
    record.withdraw()
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    record.renew(now)
    written = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "serving").iterdir()}
    record.renew(now + datetime.timedelta(seconds=12))
    later = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "serving").iterdir()}
    assert set(later) == set(serving.slot_names(now + datetime.timedelta(seconds=12)))
    assert sum(later[name] == written.get(name) for name in later) == 5
    record.withdraw()
    assert not list((tmp_path / "serving").iterdir())


def test_telling_words_leave_out_noise_and_secrets() -> None:
    output = (
        "2026/11/22 15:43:29| Startup: Initializing Authentication Schemes ...\n"
        "2026/11/22 15:43:29| Processing: cache_peer p parent 1 0 login=me:secret\n"
        "2026/11/22 15:43:29| FATAL: Bungled squid.conf line 9: cache_peer p login=me:secret x\n"
    )
    words = engine_process.telling_words(output)
    assert words == "2026/11/22 15:43:29| FATAL: Bungled squid.conf line 9: cache_peer p login=… x"
    assert engine_process.telling_words("") == "it said nothing"


def test_both_sets_of_ports_are_served_while_they_change() -> None:
    """ADR 24: who comes by the ports that clients are not told (any more, or yet) gets lists that name those."""
    following = port_change.PortSet.of(ports.PortTriple(26080, 27080, 17443))
    changing = dataclasses.replace(NGINX, beside=following)
    text = nginx.render_nginx(changing)
    served = {17080, 17081, 17443, 17444, 27080, 27081}
    assert set(nginx.nginx_ports(changing)) == served
    assert len(nginx.nginx_ports(changing)) == len(served) == len(text.split("    server {\n")) - 1
    by_balancer = text.split("listen 0.0.0.0:27081 ")[1].split("    server {\n")[0]
    assert 'sub_filter "//updates.example.com:17080/" "//updates.example.com:27080/";' in by_balancer
    by_told = text.split("listen 0.0.0.0:17081 ")[1].split("    server {\n")[0]
    assert "sub_filter" not in by_told
    proxy = dataclasses.replace(SQUID, beside=following)
    assert squid.squid_ports(proxy) == (16080, 26080, 16081, 26081)
    assert "http_port 0.0.0.0:26081 require-proxy-header" in squid.render_squid(proxy).configuration
