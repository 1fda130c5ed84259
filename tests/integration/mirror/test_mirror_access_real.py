"""Upstreams that want to see something first, and lists of addresses: real nginx with TLS, and the command itself."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stationmaster.testing import loopback
from stationmaster.testing import simulated_repositories as repositories

COMMAND = [str(Path(sys.executable).with_name("stationmaster")), "mirror"]
PASSWORD = "s3cret Pä:ss"
ROOT = "repodata/repomd.xml"
CONFIG = """
user root; pid {base}/pid; error_log {base}/error.log; daemon off; worker_processes 1; events {{}}
http {{
  access_log {base}/access.log; default_type application/octet-stream;
  client_body_temp_path {base}/t1; proxy_temp_path {base}/t2; fastcgi_temp_path {base}/t3;
  uwsgi_temp_path {base}/t4; scgi_temp_path {base}/t5;
  log_format who '$server_port $uri $status "$http_authorization"';
  access_log {base}/who.log who;
  server {{ listen 127.0.0.1:{password}; root {base}/www;
    location / {{ auth_basic x; auth_basic_user_file {base}/htpasswd; }}
    location /moved/ {{ auth_basic x; auth_basic_user_file {base}/htpasswd;
      rewrite ^/moved/(.*)$ http://127.0.0.1:{open}/rpm/$1 redirect; }} }}
  server {{ listen 127.0.0.1:{open}; root {base}/www; }}
  server {{ listen 127.0.0.1:{mutual} ssl; root {base}/www;
    ssl_certificate {base}/server.pem; ssl_certificate_key {base}/server.key;
    ssl_client_certificate {base}/ca.pem; ssl_verify_client on; }}
}}
"""


@dataclasses.dataclass(frozen=True)
class Guarded:
    base: Path
    password: int
    open: int
    mutual: int

    def url(self, port: int, path: str = "rpm/", scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{port}/{path}"

    def who(self) -> list[str]:
        return (self.base / "who.log").read_text().splitlines()


def certificate(run: Callable[..., str], base: Path, name: str, *extra: str) -> None:
    run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
        "-keyout", base / f"{name}.key", "-out", base / f"{name}.csr")  # fmt: skip
    run("openssl", "x509", "-req", "-in", base / f"{name}.csr", "-CA", base / "ca.pem", "-CAkey", base / "ca.key",
        "-CAcreateserial", "-days", "2", "-out", base / f"{name}.pem", *extra)  # fmt: skip


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, run: Callable[..., str]) -> Iterator[Guarded]:
    base = tmp_path_factory.mktemp("guarded")
    for path, content in repositories.rpm_repository({"a/p.rpm": b"p" * 3000}).items():
        target = base / "www/rpm" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=ca",
        "-days", "2", "-keyout", base / "ca.key", "-out", base / "ca.pem")  # fmt: skip
    (base / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    certificate(run, base, "server", "-extfile", str(base / "names"))
    certificate(run, base, "client")
    sealed = run("openssl", "passwd", "-apr1", PASSWORD).strip()
    (base / "htpasswd").write_text(f"me:{sealed}\n")
    ports = loopback.free_ports(3)
    site = Guarded(base, *ports)
    (base / "nginx.conf").write_text(CONFIG.format(base=base, password=ports[0], open=ports[1], mutual=ports[2]))
    with (base / "out.log").open("wb") as log:
        server = subprocess.Popen(["/usr/sbin/nginx", "-p", base, "-c", base / "nginx.conf"], stdout=log, stderr=log)
    try:
        for _ in range(200):
            if loopback.is_open(ports[2]):
                break
        yield site
    finally:
        server.send_signal(signal.SIGQUIT)
        server.wait(10)


def sync(dest: Path, *options: object, status: int = 0, environment: dict[str, str] | None = None) -> dict[str, Any]:
    arguments = [str(one) for one in (*COMMAND, "sync", "--format", "rpm", "--name", "x", "--dest", dest, "--json")]
    done = subprocess.run(
        [*arguments, *(str(one) for one in options)],
        capture_output=True, text=True, check=False, env={**os.environ, **(environment or {})},
    )  # fmt: skip
    assert done.returncode == status, (done.stdout, done.stderr)
    assert PASSWORD not in done.stdout + done.stderr
    if status == 2:
        return {"usage": done.stderr}
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "stderr": done.stderr}


@pytest.fixture
def login(tmp_path: Path) -> Path:
    path = tmp_path / "login"
    path.touch(mode=0o600)
    path.write_text(f"username=me\npassword={PASSWORD}\n")
    return path


def test_a_password_by_file_environment_and_address(
    guarded: Guarded, volume: Path, login: Path, tmp_path: Path
) -> None:
    url = guarded.url(guarded.password)
    refused = sync(volume, "--url", url, status=1)
    assert "401" in refused["error"]["message"]
    assert "credentials" in refused["error"]["message"]
    found = sync(volume, "--url", url, "--credentials-file", login)
    assert found["state"] == "SYNCED"
    assert "in clear" in found["warnings"][0]
    names = {"STATIONMASTER_MIRROR_USERNAME": "me", "STATIONMASTER_MIRROR_PASSWORD": PASSWORD}
    assert sync(volume, "--url", url, environment=names)["state"] == "UNCHANGED"
    inline = sync(volume, "--url", url.replace("//", "//me:s3cret%20P%C3%A4%3Ass@"))
    assert inline["state"] == "UNCHANGED"
    assert "--credentials-file" in inline["stderr"]
    kept = b"".join(path.read_bytes() for path in (volume / ".stationmaster").rglob("*") if path.is_file())
    assert b"s3cret" not in kept
    login.chmod(0o644)
    assert "chmod 600" in sync(volume, "--url", url, "--credentials-file", login, status=2)["usage"]
    wrong = tmp_path / "wrong"
    wrong.write_text("username=me\npassword=no\n")
    wrong.chmod(0o600)
    assert "401" in sync(volume, "--url", url, "--credentials-file", wrong, status=1)["error"]["message"]


def test_repair_shows_what_the_file_of_sources_says(
    guarded: Guarded, volume: Path, login: Path, tmp_path: Path
) -> None:
    url = guarded.url(guarded.password)
    assert sync(volume, "--url", url, "--credentials-file", login)["state"] == "SYNCED"
    (volume / "published/x/a/p.rpm").write_bytes(b"damage")
    config = tmp_path / "mirror.toml"
    config.write_text(f'[[source]]\nname = "x"\nformat = "rpm"\nurl = "{url}"\ncredentials-file = "{login}"\n')
    for options, status in (((), 1), (("--config", config), 0)):
        done = subprocess.run(
            [*COMMAND, "verify", "--dest", volume, "--repair", *options], capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stdout
        assert ("401" in done.stdout) == (status == 1)


def test_a_redirect_to_another_server_carries_no_password(guarded: Guarded, volume: Path, login: Path) -> None:
    found = sync(volume, "--url", guarded.url(guarded.password, "moved/"), "--credentials-file", login)
    assert found["state"] == "SYNCED"
    assert [line for line in guarded.who() if line.startswith(f"{guarded.open} ") and not line.endswith('"-"')] == []
    assert any(line.startswith(f"{guarded.open} /rpm/a/p.rpm 200") for line in guarded.who())


def test_a_client_certificate_and_a_ca_of_its_own(guarded: Guarded, volume: Path) -> None:
    url = guarded.url(guarded.mutual, scheme="https")
    base = guarded.base
    pair = ("--client-cert", base / "client.pem", "--client-key", base / "client.key")
    assert sync(volume, "--url", url, *pair, "--ca-file", base / "ca.pem")["state"] == "SYNCED"
    assert sync(volume, "--url", url, "--ca-file", base / "ca.pem", status=1)["error"]["code"] == "UpstreamUnavailable"
    unknown = sync(volume, "--url", url, *pair, status=1)  # no known CA made the server's certificate
    assert "ertificate" in unknown["error"]["message"]
    assert unknown["requests"] == 1  # the same certificate would come again
    both = base / "both.pem"
    both.write_bytes((base / "client.pem").read_bytes() + (base / "client.key").read_bytes())
    assert sync(volume, "--url", url, "--client-cert", both, "--ca-file", base / "ca.pem")["state"] == "UNCHANGED"
    other = ("--client-cert", base / "client.pem", "--client-key", base / "server.key")
    assert "client.pem" in sync(volume, "--url", url, *other, status=1)["error"]["message"]


def test_several_addresses_and_lists(guarded: Guarded, volume: Path, tmp_path: Path) -> None:
    dead = loopback.free_ports(1)[0]
    away, good = guarded.url(dead), guarded.url(guarded.open)
    assert sync(volume, "--url", away, "--url", good)["state"] == "SYNCED"
    www = guarded.base / "www"
    (www / "list").write_text(f"# mirrors\n{away}\n{good}\n")
    assert sync(volume, "--mirrorlist", guarded.url(guarded.open, "list"))["state"] == "UNCHANGED"
    root = (www / "rpm" / ROOT).read_bytes()
    (www / "meta").write_text(
        "<?xml version='1.0'?><metalink xmlns='http://www.metalinker.org/'><files><file name='repomd.xml'>"
        f"<size>{len(root)}</size><verification><hash type='sha256'>{hashlib.sha256(root).hexdigest()}</hash>"
        f"</verification><resources><url preference='100'>{away}{ROOT}</url><url preference='99'>{good}{ROOT}</url>"
        "</resources></file></files></metalink>"
    )
    fresh = tmp_path / "fresh"
    subprocess.run([*COMMAND, "init", "--dest", str(fresh)], check=True, capture_output=True)
    metalink = guarded.url(guarded.open, "meta")
    assert sync(fresh, "--metalink", metalink)["state"] == "SYNCED"
    assert sync(fresh, "--metalink", metalink)["requests"] == 1
    failed = sync(fresh, "--url", away, "--url", guarded.url(guarded.open, "none/"), status=1)
    assert away in failed["error"]["message"]
    assert "none/" in failed["error"]["message"]
    for wrong in (("--metalink", metalink, "--mirrorlist", metalink), (), ("--metalink", "ftp://h/")):
        assert sync(volume, *wrong, status=2)["usage"]
