"""A station's directories and ports with a small mirror in them, for tests that run real engines on it."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import shutil  # noqa: TID251 - tests clean up by themselves
import tempfile  # noqa: TID251 - not below pytest's directory, which nginx's own user may not enter
from collections.abc import Iterator, Sequence
from pathlib import Path

from stationmaster.host import engine_process
from stationmaster.model import ports
from stationmaster.station.sites import program, spec
from stationmaster.testing import loopback

SOURCE = "ocid1.osmhsoftwaresource.oc1..aaaa"
GENERATION = "0" * 31 + "1"
FORMER = "0" * 31 + "2"


@dataclasses.dataclass(frozen=True)
class Place:
    """A station's directories and ports, with a small mirror in it."""

    state: Path
    mirror: Path
    direct: ports.PortTriple
    balancer: ports.PortTriple
    address: str = "0.0.0.0"  # noqa: S104 - tests with one station listen everywhere, as stations do

    def nginx_spec(self, **changes: object) -> spec.NginxSpec:
        """One client permitted, one balancer, changed as asked."""
        wanted = spec.NginxSpec(
            state_directory=self.state,
            mirror_directory=self.mirror,
            hostname="lb.example",
            direct=self.direct,
            balancer=self.balancer,
            permitted=(ipaddress.ip_network("127.0.0.2/32"),),
            balancer_addresses=("127.0.0.9",),
            worker_processes="1",
            listen=(self.address,),
        )
        return dataclasses.replace(wanted, **changes)  # type: ignore[arg-type]

    def squid_spec(self, **changes: object) -> spec.SquidSpec:
        """One client permitted, one balancer, changed as asked."""
        wanted = spec.SquidSpec(
            state_directory=self.state,
            service_name=spec.squid_service_name("test", self.state),
            direct=self.direct,
            balancer=self.balancer,
            permitted=(ipaddress.ip_network("127.0.0.2/32"),),
            balancer_addresses=("127.0.0.9",),
            hub=spec.HubTarget(("hub.example",), 443, ("127.0.0.1",)),
            listen=(self.address,),
        )
        return dataclasses.replace(wanted, **changes)  # type: ignore[arg-type]


def fill_mirror(mirror: Path) -> None:
    """Two generations of one source, whose published directory also holds metadata that must not be taken."""
    tree = mirror / "generations" / SOURCE / GENERATION / "tree"
    former = mirror / "generations" / SOURCE / FORMER / "tree"
    published = mirror / "published" / SOURCE
    for place, word in ((tree, "new"), (former, "old")):
        (place / "repodata").mkdir(parents=True)
        (place / "repodata" / "repomd.xml").write_text(f"<{word}/>")
        (place / "repodata" / f"{'ab' * 32}-{word}.xml.gz").write_text(word)
    (tree / "InRelease").write_text("new root")
    (published / "Packages").mkdir(parents=True)
    (published / "Packages" / "c++-1.0~a.x86_64.rpm").write_bytes(bytes(range(256)) * 40)
    (published / "Packages" / "linked.rpm").symlink_to("c++-1.0~a.x86_64.rpm")
    (published / "repodata").symlink_to(f"../../generations/{SOURCE}/{GENERATION}/tree/repodata")
    (published / "Release").write_text("of another generation")


def fill_www(state: Path, mirror: Path) -> None:
    """What the daemon would keep for nginx, and a secret."""
    www = state / "www"
    for name in ("m-http", "m-https", "keys", "u", "u-former"):
        (www / name).mkdir(parents=True)
    (www / "m-http" / SOURCE).write_text("http list\n")
    (www / "m-https" / SOURCE).write_text("https list\n")
    (www / "keys" / f"{SOURCE}.asc").write_text("key\n")
    (www / "u" / SOURCE).symlink_to(mirror / "generations" / SOURCE / GENERATION / "tree")
    (www / "u-former" / SOURCE).symlink_to(mirror / "generations" / SOURCE / FORMER / "tree")
    (www / "instance-setup.sh").write_text("#!/bin/sh\n")
    (state / "ca.pem").write_text("CA\n")
    (state / "key.pem").write_text("secret\n")


@contextlib.contextmanager
def station_place(address: str = "0.0.0.0", found: Sequence[int] = ()) -> Iterator[Place]:  # noqa: S104 - as above
    """A fresh one; whatever engines were started in it are killed with the context."""
    base = Path(tempfile.mkdtemp(prefix="sm-sites-"))
    base.chmod(0o755)
    six = found or loopback.free_ports(6)
    place = Place(base / "state", base / "mirror", ports.PortTriple(*six[:3]), ports.PortTriple(*six[3:]), address)
    place.state.mkdir()
    fill_mirror(place.mirror)
    fill_www(place.state, place.mirror)
    try:
        yield place
    finally:
        doors = engine_process.real_doors()
        program.NginxSite(place.nginx_spec(), doors).keeper.restart_wedged()
        program.SquidSite(place.squid_spec(), doors).keeper.restart_wedged()
        for path in Path("/dev/shm").glob(f"{place.squid_spec().service_name}-*"):  # noqa: S108 - squid's own place
            path.unlink()
        shutil.rmtree(base)
