from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stationmaster.testing import loopback

COMMAND = [str(Path(sys.executable).with_name("stationmaster")), "mirror"]


@dataclasses.dataclass(frozen=True)
class Upstream:
    """A real nginx over a directory; what lies below ``slow/`` it sends at a limited rate."""

    root: Path
    url: str
    home: Path  # of gpg

    def sign_detached(self, path: Path) -> None:
        run("gpg", "--batch", "--yes", "--armor", "--detach-sign", "-o", f"{path}.asc", path, home=self.home)

    def sign_inline(self, path: Path, target: Path) -> None:
        run("gpg", "--batch", "--yes", "--clearsign", "-o", target, path, home=self.home)

    @property
    def key(self) -> Path:
        return self.home / "key.asc"


def run(*arguments: object, directory: Path | None = None, home: Path | None = None) -> str:
    environment = {**os.environ, **({"GNUPGHOME": str(home)} if home else {})}
    done = subprocess.run(
        [str(one) for one in arguments], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (arguments, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


@pytest.fixture(name="run", scope="session")
def _run() -> Callable[..., str]:
    return run


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    base = tmp_path_factory.mktemp("upstream")
    home = base / "gpg"
    home.mkdir(mode=0o700)
    run("gpg", "--batch", "--passphrase", "", "--quick-gen-key", "t <t@example.com>", "ed25519", "sign", home=home)
    (home / "key.asc").write_text(run("gpg", "--armor", "--export", home=home))
    root = base / "www"
    root.mkdir()
    (port,) = loopback.free_ports(1)
    temporary = "".join(
        f"{kind}_temp_path {base}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (base / "nginx.conf").write_text(  # root, since pytest closes its directories to all others
        f"user root; pid {base}/pid; error_log {base}/error.log; daemon off; worker_processes 1; events {{}}\n"
        f"http {{ access_log {base}/access.log; {temporary} default_type application/octet-stream;\n"
        f" server {{ listen 127.0.0.1:{port}; root {root}; location /slow/ {{ alias {root}/; limit_rate 3m; }} }} }}\n"
    )
    with (base / "out.log").open("wb") as log:
        server = subprocess.Popen(["/usr/sbin/nginx", "-p", base, "-c", base / "nginx.conf"], stdout=log, stderr=log)
    try:
        for _ in range(200):
            if loopback_answers(port):
                break
        yield Upstream(root, f"http://127.0.0.1:{port}/", home)
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(10)
        run("gpgconf", "--kill", "gpg-agent", home=home)


def loopback_answers(port: int) -> bool:
    import socket
    import time

    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        time.sleep(0.02)
        return False
    return True


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    run(*COMMAND, "init", "--dest", tmp_path / "mirror")
    return tmp_path / "mirror"


SPEC = """\
Name: lab
Version: %(version)s
Release: 1
Summary: A package of a test
License: MIT
BuildArch: noarch
%%description
Nothing.
%%package -n lab-c++
Summary: An odd name
%%description -n lab-c++
Nothing.
%%files
%%files -n lab-c++
"""


@pytest.fixture(scope="session")
def build_rpms(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Path]]:
    def build(version: str) -> list[Path]:
        top = tmp_path_factory.mktemp("rpmbuild")
        (top / "lab.spec").write_text(SPEC % {"version": version})
        run("rpmbuild", "-bb", "--define", f"_topdir {top}", top / "lab.spec")
        return sorted((top / "RPMS").rglob("*.rpm"))

    return build
