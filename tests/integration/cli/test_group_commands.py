# ruff: noqa: ANN001 - the hub of the fixture is described in the root conftest, which tests cannot import
"""Commands that touch whole groups: they warn, look first, and change ports of all stations."""

from __future__ import annotations

import json

import pytest

from stationmaster.cli import main


class Shell:
    """Runs commands against one hub and keeps what they said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.err = ""

    def __call__(self, *arguments: str, status: int = 0) -> str:
        self.capsys.readouterr()
        got = main.run(list(arguments))
        out, self.err = self.capsys.readouterr()
        assert got == status, f"{arguments} ended with {got}: {self.err}{out}"
        return out.strip()


@pytest.fixture
def shell(live_hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("OCI_CLI_CONFIG_FILE", str(live_hub.oci_config))
    monkeypatch.setenv("STATIONMASTER_ENDPOINT", live_hub.endpoint)
    monkeypatch.delenv("OCI_CLI_PROFILE", raising=False)
    return Shell(capsys)


def create(shell: Shell, name: str) -> str:
    return shell("station", "create", "--name", name, "--hostname", "lb.example.com", "--permitted-range", "10.0.0.0/8")


def test_a_change_is_looked_at_first_and_warned_of(shell: Shell) -> None:
    create(shell, "A")
    station = create(shell, "B")
    leaves = "B leaves the group of lb.example.com, where A stay."
    words = shell("station", "delete", "--station-id", station, "--dry-run").splitlines()
    assert words[0] == leaves
    change = ("station", "update", "--station-id", station, "--hostname", "10.1.1.1")
    assert leaves in json.loads(shell(*change, "--dry-run", "--json"))["warnings"]
    quiet = shell("station", "update", "--station-id", station, "--description", "x", "--dry-run")
    assert quiet == "It would be done; nobody else would notice."
    assert "lb.example.com" in shell("station", "get", "--station-id", station)
    shell("station", "update", "--station-id", station, "--http-port", "9000", "--dry-run", status=1)
    assert "differs from 17080 of the peer A" in shell.err
    shell(*change)
    assert f"warning: {leaves}\n" in shell.err


def test_ports_of_a_group_change_and_are_taken_back(shell: Shell) -> None:
    create(shell, "A")
    ports = ("--proxy", "26080", "--http", "27080", "--https", "27443")
    order = ("ha", "change-ports", "--hostname", "lb.example.com")
    begun = shell(*order, *ports).splitlines()
    assert begun[0].endswith("stations and balancers come to serve proxy 26080, HTTP 27080, HTTPS 27443 as well.")
    assert begun[1] == "  waiting: No station serves clients."
    assert begun[-1] == f"Back: stationmaster {' '.join(order)} --proxy 16080 --http 17080 --https 17443"
    assert "CHANGING Clients use proxy 16080" in shell("ha", "status", "--hostname", "lb.example.com")
    assert "[PortsChanging]" in shell("ha", "doctor", "--hostname", "lb.example.com", status=1)
    shell(*order, *ports, "--wait", "--wait-seconds", "0", status=1)
    assert "still changing after 0 s. No station serves clients." in shell.err
    third = ("--proxy", "1", "--http", "2", "--https", "3")
    shell(*order, *third, status=1)
    assert "are changing already" in shell.err
    back = json.loads(shell(*order, "--proxy", "16080", "--http", "17080", "--https", "17443", "--json"))
    assert (back["phase"], back["told"]["http"]) == ("DONE", 17080)
    shell(*order, "--proxy", "0", "--http", "2", "--https", "3", status=2)
