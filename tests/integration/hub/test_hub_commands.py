from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import ssl
import subprocess
import sys
import time
from typing import Any

import oci
import pytest
from oci.os_management_hub import models

from stationmaster.host import network

BIN = pathlib.Path(sys.executable).parent


def run(*arguments: Any, **environment: Any) -> Any:
    clean = {name: value for name, value in os.environ.items() if not name.endswith("CA_BUNDLE")}
    return subprocess.run(
        [BIN / arguments[0], *arguments[1:]],
        capture_output=True,
        text=True,
        timeout=60,
        env={**clean, "SUPPRESS_LABEL_WARNING": "True", **environment},
        check=False,
    )


INIT = ("stationmaster", "hub", "init")


def where(directory: Any) -> tuple[str, ...]:
    return ("--state-dir", str(directory / "state"), "--oci-config", str(directory / "oci" / "config"))


def init(directory: Any, *more: Any) -> Any:
    return run(*INIT, *where(directory), *more)


def free_port() -> Any:
    return next(port for port in range(21000 + os.getpid() % 3000, 30000) if network.is_free(port, address="127.0.0.1"))


class Serving:
    """``hub serve`` as a process."""

    def __init__(self, directory: Any, *more: Any) -> Any:
        self.port = free_port()
        self.log = directory / f"log-{self.port}"
        arguments = ["hub", "serve", "--state-dir", directory / "state", "--listen", f"127.0.0.1:{self.port}", *more]
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen([BIN / "stationmaster", *arguments], stderr=stream)

    def __enter__(self) -> Any:
        deadline = time.monotonic() + 20
        while not network.is_answering("127.0.0.1", self.port) and time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def client(directory: Any, endpoint: Any, kind: Any = oci.os_management_hub.ManagementStationClient) -> Any:
    made = kind(
        oci.config.from_file(str(directory / "oci" / "config")),
        service_endpoint=endpoint,
        retry_strategy=oci.retry.NoneRetryStrategy(),
    )
    made.base_client.session.verify = str(directory / "state" / "ca.pem")
    made.base_client.session.trust_env = False  # an environment's CA bundle would win over ours
    return made


def test_init_makes_what_the_design_names_and_keeps_secrets_private(tmp_path: Any) -> None:
    done = init(tmp_path)
    assert done.returncode == 0, done.stderr
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir() if path.is_file()}
    assert modes == {"hub.json": 0o600, "hub.sqlite3": 0o600, "ca-key.pem": 0o600, "ca.pem": 0o644}
    config = oci.config.from_file(str(tmp_path / "oci" / "config"))
    oci.config.validate_config(config)
    assert pathlib.Path(config["key_file"]).stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in done.stdout + done.stderr


def test_init_refuses_to_run_twice_and_changes_nothing(tmp_path: Any) -> None:
    init(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    again = init(tmp_path)
    assert again.returncode == 1
    assert "hub.json" in again.stderr
    assert "Traceback" not in again.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    other = run(
        "stationmaster",
        "hub",
        "init",
        "--state-dir",
        str(tmp_path / "other"),
        "--oci-config",
        str(tmp_path / "oci" / "config"),
    )
    assert other.returncode == 1
    assert not (tmp_path / "other").exists()


def test_init_refuses_a_database_that_another_hub_has_and_leaves_nothing(tmp_path: Any, postgres_server: Any) -> None:
    url = postgres_server.new_database()
    assert init(tmp_path / "a", "--database", url).returncode == 0
    second = init(tmp_path / "b", "--database", url)
    assert (second.returncode, "belongs to a hub" in second.stderr) == (1, True)
    assert [path for path in (tmp_path / "b").rglob("*") if path.is_file()] == []


def test_init_with_a_database_that_is_away_says_so_and_may_be_repeated(tmp_path: Any) -> None:
    done = init(tmp_path, "--database", f"postgresql://postgres@/none?host={tmp_path}")
    assert (done.returncode, "database" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr
    assert init(tmp_path).returncode == 0


def test_a_database_that_cannot_be_names_no_password(tmp_path: Any) -> None:
    for url in ("postgresql://u:c4nary@h:port/x", "postgresql://u:c4nary@127.0.0.1:1/x", "postgresql://h/x?c4nary=1"):
        done = run(*INIT, *where(tmp_path), STATIONMASTER_DATABASE=url)
        assert (done.returncode, "database" in done.stderr) == (1, True)
        assert "Traceback" not in done.stderr
        assert "u:c4nary" not in done.stdout + done.stderr
        assert "@127" not in done.stderr


def test_a_database_may_come_by_the_environment(tmp_path: Any, postgres_server: Any) -> None:
    url = postgres_server.new_database()
    assert run(*INIT, *where(tmp_path), STATIONMASTER_DATABASE=url).returncode == 0
    assert json.loads((tmp_path / "state" / "hub.json").read_text())["database"] == url


def test_serve_speaks_tls_by_its_own_ca_and_ends_well_on_sigterm(tmp_path: Any) -> None:
    init(tmp_path)
    with Serving(tmp_path, "--tls-name", "hub.example.com", "--tls-name", "10.1.2.3") as serving:
        endpoint = f"https://127.0.0.1:{serving.port}"
        assert client(tmp_path, endpoint).list_management_stations().data.items == []
        chain = (tmp_path / "state" / "tls" / "chain.pem").read_text()
        assert chain.endswith((tmp_path / "state" / "ca.pem").read_text())
        assert (tmp_path / "state" / "tls" / "key.pem").stat().st_mode & 0o777 == 0o600
        described = ssl._ssl._test_decode_cert(str(tmp_path / "state" / "tls" / "chain.pem"))
        assert ("DNS", "hub.example.com") in described["subjectAltName"]
        assert ("IP Address", "10.1.2.3") in described["subjectAltName"]
        serving.process.send_signal(signal.SIGTERM)
        assert serving.process.wait(15) == 0
        lines = [json.loads(line) for line in serving.log.read_text().splitlines()]
        assert lines[-1]["message"] == "stopped"
        assert next(line for line in lines if line["message"] == "serving")["url"] == (
            f"https://hub.example.com:{serving.port}"
        )


def test_what_was_stored_is_there_after_a_kill(tmp_path: Any) -> None:
    init(tmp_path)
    details = models.CreatePrivateSoftwareSourceDetails(
        compartment_id=oci.config.from_file(str(tmp_path / "oci" / "config"))["tenancy"],
        os_family="ALL",
        arch_type="NOARCH",
        url="http://127.0.0.1/x",
    )
    kind = oci.os_management_hub.SoftwareSourceClient
    with Serving(tmp_path, "--plain-http") as serving:
        made = client(tmp_path, f"http://127.0.0.1:{serving.port}", kind).create_software_source(details).data
        serving.process.kill()
        serving.process.wait()
    with Serving(tmp_path, "--plain-http") as serving:
        assert client(tmp_path, f"http://127.0.0.1:{serving.port}", kind).get_software_source(made.id).data == made


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--listen", "127.0.0.1"], "--listen"),
        (["--listen", "127.0.0.1:0"], "--listen"),
        (["--listen", "0.0.0.0:21999", "--plain-http"], "--plain-http"),
        (["--listen", "127.0.0.1:21999", "--tls-name", "no name"], "--tls-name"),
        (["--listen", "127.0.0.1:21999", "--public-url", "hub"], "--public-url"),
        (["--listen", "127.0.0.1:21999", "--public-url", "http://hub.example.com"], "--public-url"),
    ],
)
def test_serve_refuses_what_cannot_be(tmp_path: Any, options: Any, named: Any) -> None:
    init(tmp_path)
    done = run("stationmaster", "hub", "serve", "--state-dir", str(tmp_path / "state"), *options)
    assert (done.returncode, named in done.stderr) == (1, True), done.stderr


def test_serve_on_a_port_that_is_taken_or_without_a_hub_says_so(tmp_path: Any) -> None:
    done = run("stationmaster", "hub", "serve", "--state-dir", str(tmp_path), "--listen", "127.0.0.1:21999")
    assert (done.returncode, "hub init" in done.stderr) == (1, True)
    init(tmp_path)
    with Serving(tmp_path, "--plain-http") as serving:
        listen = f"127.0.0.1:{serving.port}"
        state = str(tmp_path / "state")
        done = run("stationmaster", "hub", "serve", "--state-dir", state, "--plain-http", "--listen", listen)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert re.search(f"Cannot listen at {listen}", done.stderr)


def test_the_published_command_line_works_against_it(live_hub: Any) -> None:
    def oci_cli(*arguments: Any) -> Any:
        done = run(
            "oci",
            "os-management-hub",
            *arguments,
            "--endpoint",
            live_hub.endpoint,
            OCI_CLI_CONFIG_FILE=str(live_hub.oci_config),
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    made = oci_cli(
        *("management-station", "create", "--compartment-id", live_hub.root_id, "--display-name", "StationA"),
        *("--hostname", "lb.example.com", "--wait-for-state", "ACTIVE"),
        *("--station-proxy", json.dumps({"isEnabled": True, "hosts": ["10.0.0.0/8"], "port": "16080"})),
        *("--mirror", json.dumps({"directory": "/mnt/mirror", "port": "17080", "sslport": "17443"})),
    )
    station = made["data"]
    assert station["proxy"]["port"] == "16080"
    listed = oci_cli("management-station", "list", "--compartment-id", live_hub.root_id, "--all")
    assert [one["id"] for one in listed["data"]["items"]] == [station["id"]]
    source = oci_cli(
        *("software-source", "create-private-swsrc", "--compartment-id", live_hub.root_id),
        *("--os-family", "ORACLE_LINUX_9", "--arch-type", "X86_64", "--url", "http://127.0.0.1/x"),
    )["data"]
    profile = oci_cli(
        *("profile", "create-software-source-profile", "--compartment-id", live_hub.root_id),
        *("--display-name", "p", "--vendor-name", "ORACLE", "--os-family", "ORACLE_LINUX_9", "--arch-type", "X86_64"),
        *("--software-source-ids", json.dumps([source["id"]]), "--management-station-id", station["id"]),
    )["data"]
    assert profile["software-sources"][0]["id"] == source["id"]
    mirrors = oci_cli("management-station", "list-mirrors", "--management-station-id", station["id"])
    assert [one["id"] for one in mirrors["data"]["items"]] == [source["id"]]
    oci_cli("profile", "delete", "--profile-id", profile["id"], "--force")
    identified = ("--management-station-id", station["id"], "--force", "--wait-for-state", "DELETED")
    oci_cli("management-station", "delete", *identified)
