# ruff: noqa: ANN001 - the hub of the fixture is described in the root conftest, which tests cannot import
import json
import threading
from pathlib import Path

import pytest

from stationmaster.api_client import keys, session
from stationmaster.cli import main
from stationmaster.host import clock, http
from stationmaster.model import protocol, response_file


class Shell:
    """Runs commands against one hub and keeps what they said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.status = 0
        self.err = ""

    def __call__(self, *arguments: str, status: int = 0) -> str:
        self.capsys.readouterr()
        self.status = main.run(list(arguments))
        out, self.err = self.capsys.readouterr()
        assert self.status == status, f"{arguments} ended with {self.status}: {self.err}{out}"
        return out.strip()

    def json(self, *arguments: str, status: int = 0):  # noqa: ANN201 - any JSON
        return json.loads(self(*arguments, "--json", status=status))


@pytest.fixture
def shell(live_hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("OCI_CLI_CONFIG_FILE", str(live_hub.oci_config))
    monkeypatch.setenv("STATIONMASTER_ENDPOINT", live_hub.endpoint)
    monkeypatch.delenv("OCI_CLI_PROFILE", raising=False)
    return Shell(capsys)


def create_station(shell: Shell, name: str = "StationA") -> str:
    return shell("station", "create", "--name", name, "--hostname", "lb.example.com", "--permitted-range", "10.0.0.0/8")


def register_station(live_hub, shell: Shell, station: str) -> None:
    profile = shell.json("station", "get", "--station-id", station)["profileId"]
    content = response_file.parse(shell("profile", "response-file", "--profile-id", profile))
    facts = protocol.Facts(host_name="a", os_name="x", os_version="1", kernel_version="1", architecture="x86_64")
    request = protocol.RegistrationRequest(
        registration_key=content.registration_key,
        public_key=keys.public_pem(keys.make_private_key().public_key()),
        kind=protocol.MachineKind.STATION,
        facts=facts,
        address="127.0.0.1",
    )
    opened = session.Session(live_hub.endpoint, http.Http(), clock.SystemClock())
    opened.request("POST", "/stationmaster/v1/registrations", body=request)


def create_source(shell: Shell) -> str:
    return shell(
        "source", "create", "--name", "internal", "--url", "http://127.0.0.1:9/rpm", "--os-family", "oracle_linux_9",
        "--arch", "x86_64", "--no-gpg-check",
    )  # fmt: skip


def create_profile(shell: Shell, station: str, source: str) -> str:
    return shell(
        "profile", "create", "--name", "web", "--station-id", station, "--source-id", source, "--os-family",
        "ORACLE_LINUX_9", "--arch", "X86_64",
    )  # fmt: skip


def test_compartments(shell: Shell) -> None:
    made = shell("compartment", "create", "--name", "berlin")
    below = shell("compartment", "create", "--name", "amsterdam", "--parent", made)
    items = shell.json("compartment", "list")
    assert [item["name"] for item in items] == ["amsterdam", "berlin", "root"]
    assert items[0]["compartmentId"] == made
    assert shell("compartment", "list").splitlines()[1].split()[:2] == ["amsterdam", below]


def test_stations_are_made_changed_drained_and_deleted(shell: Shell) -> None:
    first, second = create_station(shell, "StationB"), create_station(shell)
    assert [item["displayName"] for item in shell.json("station", "list")] == ["StationA", "StationB"]
    found = shell.json("station", "get", "--station-id", first)
    assert found["proxy"] == {"isEnabled": True, "hosts": ["10.0.0.0/8"], "port": "16080", "forward": None}
    assert [peer["id"] for peer in found["peerManagementStations"]] == [second]
    assert "peers              StationA" in shell("station", "get", "--station-id", first)
    changed = shell.json("station", "update", "--station-id", first, "--permitted-range", "192.168.0.0/16")
    assert changed["proxy"]["hosts"] == ["192.168.0.0/16"]
    assert changed["mirror"]["port"] == "17080"
    shell("station", "update", "--station-id", first, "--proxy-port", "16090", status=1)
    assert "StationA" in shell.err
    assert "16080" in shell.err
    shell("station", "update", "--station-id", first, status=1)
    assert "Nothing to change" in shell.err
    shell("station", "drain", "--station-id", first)
    assert {
        one["displayName"]: one["isDraining"]
        for one in shell.json("ha", "status", "--hostname", "lb.example.com")[0]["stations"]
    } == {
        "StationA": False,
        "StationB": True,
    }
    shell("station", "undrain", "--station-id", first)
    shell("station", "delete", "--station-id", first)
    assert [item["displayName"] for item in shell.json("station", "list") if item["lifecycleState"] == "ACTIVE"] == [
        "StationA"
    ]


def test_sources_and_profiles(live_hub, shell: Shell) -> None:
    station, source = create_station(shell), create_source(shell)
    profile = create_profile(shell, station, source)
    assert shell.json("source", "update", "--source-id", source, "--description", "ours")["description"] == "ours"
    assert [item["displayName"] for item in shell.json("source", "list")] == ["internal"]
    assert [mirror["id"] for mirror in shell.json("station", "mirrors", "--station-id", station)] == [source]
    why = shell("ha", "why", "--hostname", "lb.example.com", "--source", "internal").splitlines()
    assert why[0].split() == ["SOURCE", "NEEDED", "BY", "NAME", "THROUGH", "STATION"]
    assert why[1].split()[:2] == ["internal", "profile"]
    assert why[1].endswith("StationA")
    (need,) = shell.json("ha", "why", "--hostname", "lb.example.com")
    assert (need["id"], need["sourceId"]) == (profile, source)
    detail = shell("ha", "status", "--hostname", "lb.example.com", "--source", source)
    assert "LAST RESULT" in detail
    shell("profile", "detach-sources", "--profile-id", profile, "--source-id", source)
    assert shell("station", "mirrors", "--station-id", station) == ""
    shell("profile", "attach-sources", "--profile-id", profile, "--source-id", source)
    shell("profile", "detach-station", "--profile-id", profile, "--station-id", station)
    shell("profile", "attach-station", "--profile-id", profile, "--station-id", station)
    shown = shell.json("profile", "get", "--profile-id", profile)
    assert (shown["managementStationId"], shown["vendorName"]) == (station, "ORACLE")
    assert len(shell.json("profile", "list", "--station-id", station)) == 2
    content = response_file.parse(
        shell("profile", "response-file", "--profile-id", profile, "--uses", "3", "--days", "1")
    )
    assert (content.gateway_host, content.gateway_port, content.hub_url) == ("lb.example.com", 16080, live_hub.endpoint)
    shell("profile", "delete", "--profile-id", profile)
    shell("source", "delete", "--source-id", source)
    kinds = [item["kind"] for item in shell.json("event", "list", "--limit", "1000")]
    assert kinds.index("SOURCE_CREATED") > kinds.index("PROFILE_CREATED")


def test_an_instance_from_registration_to_leaving(live_hub, shell: Shell, tmp_path: Path) -> None:
    station, source = create_station(shell), create_source(shell)
    profile = create_profile(shell, station, source)
    register_station(live_hub, shell, station)
    content = response_file.parse(shell("profile", "response-file", "--profile-id", profile))
    port = int(live_hub.endpoint.rpartition(":")[2])
    direct = response_file.ResponseFile(content.registration_key, "127.0.0.1", port, content.hub_url)
    (tmp_path / "input.rsp").write_text(response_file.render(direct))
    (tmp_path / "root").mkdir()
    state = str(tmp_path / "agent")
    shell(
        "agent", "register", "--response-file", str(tmp_path / "input.rsp"), "--state-dir", state, "--root",
        str(tmp_path / "root"), "--package-manager", "dnf",
    )  # fmt: skip
    shell("agent", "run", "--state-dir", state, "--once")
    (instance,) = [one["id"] for one in shell.json("instance", "list") if not one["isManagementStation"]]
    waiting = shell("instance", "install", "--instance-id", instance, "bash")
    assert shell.json("work-request", "get", "--work-request-id", waiting)["packageNames"] == ["bash"]
    shell("work-request", "get", "--work-request-id", waiting, "--wait", "--wait-seconds", "0", status=1)
    assert "is ACCEPTED after 0 s" in shell.err
    runner = threading.Timer(1.0, main.run, [["agent", "run", "--state-dir", state, "--once"]])
    runner.start()
    ended = shell.json("instance", "remove", "--instance-id", instance, "bash", "--wait", "--wait-seconds", "60")
    runner.join()
    assert ended["status"] == "SUCCEEDED"
    assert "None of the packages is installed." in shell("work-request", "logs", "--work-request-id", ended["id"])
    assert shell("work-request", "errors", "--work-request-id", ended["id"]) == ""
    assert [one["id"] for one in shell.json("work-request", "list", "--status", "succeeded")] == [ended["id"]]
    assert shell("instance", "packages", "--instance-id", instance) == ""
    assert (
        shell.json("instance", "update", "--instance-id", instance, "--description", "web server")["description"]
        == "web server"
    )
    shell("instance", "update-packages", "--instance-id", instance, "--type", "security")
    shell("instance", "delete", "--instance-id", instance)
    shell("agent", "run", "--state-dir", state, "--once")
    assert not (tmp_path / "agent" / "agent.json").exists()
    assert [one for one in shell.json("instance", "list") if one["id"] == instance] == []


def test_groups_balancers_and_scripts(shell: Shell) -> None:
    station = create_station(shell)
    text = shell("ha", "status", "--hostname", "LB.example.com.")
    assert text.splitlines()[0] == "lb.example.com: 0 of 1 stations ready."
    assert "BROKEN  StationA: No host has registered as this station." in text
    assert "WORKS   Nothing that the hub hears of." in text
    assert "TO DO   StationA: Register its host" in text
    shell("ha", "status", "--hostname", "lb.example.com", "--source", "none", status=1)
    assert "mirrors no source named 'none'" in shell.err
    said = shell("ha", "doctor", "--hostname", "lb.example.com", status=1)
    assert "Why it matters: It counts as a station and serves nothing." in said
    assert "WARNING StationA: No host has registered as this station. [NotRegistered]" in said
    found = shell.json("ha", "doctor", "--hostname", "lb.example.com", status=1)
    assert found["isTrouble"]
    assert {"NotRegistered", "BalancersUnstated"} <= {one["code"] for one in found["items"]}
    stated = shell.json(
        "ha", "balancers", "--hostname", "lb.example.com", "--address", "10.0.0.5", "--address", "10.0.0.6"
    )
    assert sorted(stated["addresses"]) == ["10.0.0.5", "10.0.0.6"]
    assert "PROXY_PORTS='16080 16081'" in shell("station", "setup-script", "--station-id", station)
    assert "HOST='lb.example.com'" in shell("instance", "setup-script", "--hostname", "lb.example.com")
    shell("ha", "status", "--hostname", "nowhere.example.com", status=1)
    assert "No station has the hostname" in shell.err


def test_what_the_hub_refuses_is_one_line_or_one_object(shell: Shell) -> None:
    said = shell.json("station", "get", "--station-id", "ocid1.osmhmanagementstation.oc1..x", status=1)
    assert said["error"]["code"] == "NotAuthorizedOrNotFound"
    shell("instance", "install", "--instance-id", "ocid1.managementagent.oc1..x", status=2)
    shell("source", "list", "--endpoint", "http://127.0.0.1:9", status=1)
    assert "hint: Check --endpoint" in shell.err
