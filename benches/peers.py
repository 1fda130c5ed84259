"""The other tools, each with what it needs to mirror the bench's DEB archive; wget for what there is no better peer."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from benches import running
from stationmaster.lab import upstream_deb

Again = Callable[[], running.Run]


@dataclasses.dataclass(frozen=True)
class Peer:
    """A tool on a place of its own: ``sync`` may be run again and again, for no-op and incremental."""

    name: str
    sync: Again


def wget(site: Path, target: Path) -> running.Run:
    """All files over one kept-alive connection, checked for nothing."""
    names = target.with_suffix(".txt")
    base = site.resolve()
    paths = sorted(path.relative_to(base) for path in base.rglob("*") if path.is_file())
    names.write_text("".join(f"{running.URL}/{site.name}/{path}\n" for path in paths))
    return running.timed(["wget", "-q", "-P", target, "-i", names])


def reposync(target: Path) -> running.Run | None:
    """`dnf reposync` where it is to be had."""
    if shutil.which("dnf") is None:
        return None
    if subprocess.run(["dnf", "reposync", "--help"], capture_output=True, check=False).returncode:
        return None
    return running.timed(
        ["dnf", "reposync", "--repofrompath", f"bench,{running.URL}/rpm/", "--repoid", "bench", "--setopt",
         "bench.gpgcheck=0", "--download-metadata", "--delete", "--refresh", "-p", target]
    )  # fmt: skip


def deb_peers(place: Path, key: Path, architecture: str) -> list[Peer]:
    """Those of aptly (with publish), debmirror and apt-mirror that are installed; each below ``place``."""
    makers = {"aptly": _aptly, "debmirror": _debmirror, "apt-mirror": _apt_mirror}
    return [Peer(name, make(place / name, key, architecture)) for name, make in makers.items() if shutil.which(name)]


def _aptly(place: Path, key: Path, architecture: str) -> Again:
    place.mkdir(parents=True)
    configuration = place / "aptly.conf"
    configuration.write_text(f'{{"rootDir": "{place}", "gpgProvider": "internal", "downloadConcurrency": 8}}')
    keyring = place / "trusted.gpg"
    subprocess.run(["gpg", "--batch", "--yes", "-o", keyring, "--dearmor", key], check=True, capture_output=True)
    aptly = f"aptly -config={configuration}"
    made = [0]

    def sync() -> running.Run:
        # A publish needs a snapshot; the second one on is switched to.
        made[0] += 1
        what = f"bench {running.URL}/deb {upstream_deb.SUITE} main"
        first = f"{aptly} mirror create -keyring={keyring} -architectures={architecture} {what}"
        snapshot = f"{aptly} snapshot create s{made[0]} from mirror bench"
        update = f"{aptly} mirror update -keyring={keyring} bench && {snapshot}"
        switch = f"{aptly} publish switch -skip-signing {upstream_deb.SUITE} s{made[0]}"
        options = f"-skip-signing -architectures={architecture} -distribution={upstream_deb.SUITE}"
        publish = f"{aptly} publish snapshot {options} s{made[0]}"
        script = f"{first} && {update} && {publish}" if made[0] == 1 else f"{update} && {switch}"
        return running.timed(["sh", "-c", script])

    return sync


def _debmirror(place: Path, key: Path, architecture: str) -> Again:
    place.mkdir(parents=True)
    keyring = place / "trusted.gpg"
    subprocess.run(["gpg", "--batch", "--yes", "-o", keyring, "--dearmor", key], check=True, capture_output=True)
    return lambda: running.timed(
        ["debmirror", f"--host={running.HOST}", "--root=deb", "--method=http", f"--dist={upstream_deb.SUITE}",
         "--section=main", f"--arch={architecture}", "--nosource", f"--keyring={keyring}", "--rsync-extra=none",
         "--diff=none", place / "copy"]
    )  # fmt: skip


def _apt_mirror(place: Path, key: Path, architecture: str) -> Again:
    del key  # it checks no signature
    for name in ("mirror", "skel", "var"):
        (place / name).mkdir(parents=True)
    configuration = place / "mirror.list"
    configuration.write_text(
        f"set base_path {place}\nset nthreads 8\nset _tilde 0\nset run_postmirror 0\nset defaultarch {architecture}\n"
        f"deb {running.URL}/deb {upstream_deb.SUITE} main\nclean {running.URL}/deb\n"
    )

    def sync() -> running.Run:
        run = running.timed(["apt-mirror", configuration])
        assert next(place.glob("mirror/**/*.deb"), None), "apt-mirror says that all is well, and brought nothing"
        return run

    return sync
