"""Seeds of the fuzzer that need no program: small, and each one good."""

from __future__ import annotations

from stationmaster.testing import fuzz_generated, fuzz_upstreams
from stationmaster.testing import fuzz_targets as targets
from stationmaster.testing import simulated_repositories as repositories


def plain_seeds() -> dict[str, list[bytes]]:
    """Contents by target; those that need a signature lie in fuzz/inputs."""
    packages = {"p/a.rpm": b"a" * 50, "p/b%2b.rpm": b"b", "p/ö \u4e00.rpm": b"c"}
    rpm = repositories.rpm_repository(packages, further={"comps": b"<comps/>"})
    index = repositories.packages_text({"pool/a.deb": b"a" * 50, "pool/b.deb": b"b"})
    seeds: dict[str, list[bytes]] = {name: [] for name in targets.TARGETS}
    seeds["repomd"] = [rpm["repodata/repomd.xml"]]
    seeds["primary"] = [repositories.primary_xml(packages), repositories.primary_xml(packages, "sha512")]
    seeds["deltas"] = [_delta()]
    seeds["packages"] = [index, index.replace(b"\n", b"\r\n")]
    seeds["sources"] = [_sources()]
    seeds["release"] = [_release(), repositories.deb_archive({"pool/a.deb": b"a"})["dists/stable/InRelease"]]
    seeds["manifest"] = [b'{"formatVersion":1,"id":"x","hub":"","created":""}', b'{"p":"a","s":3,"d":"0","k":"p"}\n']
    seeds["http"] = [*_answers()]
    seeds["headers"] = [
        b"Thu, 01 Jan 2026 00:00:00 GMT",
        b"120",
        b"https://h:8/x/../y",
        b"//h/x",
        b'W/"x"',
        b"http://[",
    ]
    seeds["unpack"] = [pack(index) for pack in repositories.PACK.values()]
    seeds["response_file"] = [_response_file()]
    seeds["repo_options"] = [b"Suites: stable stable-updates\nComponents: main\n", b"gpgcheck=1\nsslverify=0\n"]
    seeds["paths"] = [b"Packages/a.rpm", b"./a//b", b"a/../b", "ö/\u4e00".encode(), b"%2e%2e/x"]
    return seeds | fuzz_generated.seeds() | fuzz_upstreams.seeds()


def _delta() -> bytes:
    return (
        '<prestodelta><newpackage name="a"><delta oldepoch="0"><filename>d/a.drpm</filename><size>3</size>'
        f'<checksum type="sha256">{"0" * 64}</checksum></delta></newpackage></prestodelta>'
    ).encode()


def _sources() -> bytes:
    lines = "".join(f" {'0' * 64} {number} a.{number}\n" for number in range(3))
    return f"Package: a\nDirectory: pool/a\nChecksums-Sha256:\n{lines} {'1' * 64} 4 a.dsc\nFiles:\n\n".encode()


def _release() -> bytes:
    return (
        "Suite: stable\nComponents: main\nArchitectures: amd64\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n"
        "Valid-Until: Thu, 08 Jan 2026 00:00:00 UTC\nAcquire-By-Hash: yes\n"
        f"MD5Sum:\n {'0' * 32} 3 main/binary-amd64/Packages.gz\n"
        f"SHA256:\n {'0' * 64} 3 main/binary-amd64/Packages.gz\n {'1' * 64} 4 main/source/Sources.xz\n"
    ).encode()


def _answers() -> tuple[bytes, ...]:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: x\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\nT: t\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 206 Partial\r\nContent-Range: bytes 1-2/3\r\n\r\nab",
    )


def _response_file() -> bytes:
    return (
        b"ManagementAgentInstallKey = abc\nService.plugin.osmh.download = true\nGatewayServerHost = lb.example.com\n"
        b"GatewayServerPort = 16080\nStationmaster.HubUrl = https://hub.example.com:8443\n# a comment\n"
    )
