import json

import click
import pytest

from stationmaster.cli import lazy, main, options, output, profile, source, station_fields
from stationmaster.model import errors


@click.command()
@click.option("--trouble", default="")
@options.json_option
def probe(trouble: str, *, as_json: bool) -> None:
    """A command that fails as it is told."""
    if trouble == "error":
        raise errors.ConflictError("The port differs.", hint="Use the other.")
    if trouble == "disk":
        raise OSError(28, "No space left on device", "/srv/x")
    if trouble == "stop":
        raise KeyboardInterrupt
    if trouble == "exit":
        click.get_current_context().exit(3)
    click.echo(f"fine {as_json}")


@pytest.fixture(autouse=True)
def _mounted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(main.cli.commands, "probe", probe)


@pytest.mark.parametrize(
    ("arguments", "status", "out", "err"),
    [
        (["probe"], 0, "fine False\n", ""),
        (["probe", "--trouble", "error"], 1, "", "error: The port differs.\nhint: Use the other.\n"),
        (
            ["probe", "--trouble", "disk"],
            1,
            "",
            "error: This machine refused /srv/x: No space left on device.\nhint: Check rights and space there.\n",
        ),
        (["probe", "--trouble", "stop"], 130, "", "Stopped.\n"),
        (["probe", "--trouble", "exit"], 3, "", ""),
    ],
)
def test_exit_status_and_words(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, out: str, err: str
) -> None:
    assert main.run(arguments) == status
    assert capsys.readouterr() == (out, err)


def test_wrong_usage_is_2_and_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["probe", "--nonsense"]) == 2
    assert main.run(["nonsense"]) == 2
    assert "--help" in capsys.readouterr().err


def test_a_command_that_was_asked_for_json_fails_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["probe", "--json", "--trouble", "error"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said == {"error": {"code": "Conflict", "message": "The port differs.", "hint": "Use the other."}}


@pytest.mark.parametrize("name", sorted(set(main.COMMANDS) - {"demo"}))
def test_every_command_loads_and_every_sub_command_explains_itself(name: str) -> None:
    command = main.COMMANDS[name].load()
    assert command.help
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        names = command.list_commands(context)
        assert names
        for sub in names:
            found = command.get_command(context, sub)
            assert found is not None
            assert found.help, f"{name} {sub} has no help"


def test_a_table_entry_that_names_no_command_is_our_own_mistake() -> None:
    with pytest.raises(TypeError):
        lazy.Lazy("stationmaster.cli.main:PROGRAM", "").load()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert main.run(["completion", shell]) == 0
    assert "_STATIONMASTER_COMPLETE" in capsys.readouterr().out


def test_plain_tables_are_aligned_and_empty_lists_are_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [output.Column("name", "name"), output.Column("size", "deep.size", output.format_size)]
    items = [{"name": "a", "deep": {"size": 1536}}, {"name": "long name", "deep": None}]
    output.print_items(items, columns, as_json=False, none="Nothing.")
    assert capsys.readouterr().out == "NAME       SIZE\na          1.5 KiB\nlong name  -\n"
    output.print_items([], columns, as_json=False, none="Nothing.")
    assert capsys.readouterr() == ("", "Nothing.\n")
    output.print_items([], columns, as_json=True, none="Nothing.")
    assert capsys.readouterr() == ("[]\n", "")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3 * 1024**4, "3.0 TiB"), (5 * 1024**5, "5.0 PiB")],
)
def test_sizes_have_units(value: int, expected: str) -> None:
    assert output.format_size(value) == expected


def test_times_have_zones_and_nothing_is_a_dash() -> None:
    assert output.format_time("2026-11-22T15:30:01.000Z").startswith("2026-11-2")
    assert output.format_time("2026-11-22T15:30:01Z").split()[2]
    assert output.format_time("soon") == "soon"
    assert [output.show_value(one) for one in (None, "", [], True, False, ["a", "b"], 0, "a\nb")] == [
        "-", "-", "-", "yes", "no", "a, b", "0", "a; b"
    ]  # fmt: skip


STATION = {
    "compartment_id": None, "display_name": "A", "description": None, "hostname": "lb", "proxy": True,
    "ranges": ("10.0.0.0/8",), "proxy_port": "16080", "forward_proxy": None, "mirror_directory": "/mnt/mirror",
    "http_port": "17080", "https_port": "17443", "mirror_tls": False,
}  # fmt: skip


def test_a_station_is_made_as_the_guide_has_it() -> None:
    assert station_fields.make_body(STATION, "tenancy") == {
        "compartmentId": "tenancy",
        "displayName": "A",
        "hostname": "lb",
        "proxy": {"isEnabled": True, "hosts": ["10.0.0.0/8"], "port": "16080"},
        "mirror": {"directory": "/mnt/mirror", "port": "17080", "sslport": "17443", "isSslverifyEnabled": False},
    }


def test_a_change_of_one_port_sends_its_block_whole_and_nothing_else() -> None:
    now = {"proxy": {"isEnabled": True, "hosts": ["10.0.0.0/8"], "port": "16080"}, "mirror": {"port": "17080"}}
    nothing = dict.fromkeys(STATION) | {"ranges": ()}
    assert station_fields.make_changes({**nothing, "proxy_port": "16090"}, now) == {
        "proxy": {"isEnabled": True, "hosts": ["10.0.0.0/8"], "port": "16090"}
    }
    assert station_fields.make_changes(nothing, now) == {}


def test_a_deb_source_carries_suites_and_components_as_deb822_lines() -> None:
    given = {
        "kind": "private", "compartment_id": "c", "display_name": "u", "description": None, "url": "http://x",
        "os_family": "debian_12", "arch": "x86_64", "gpg_key_url": None, "gpg_check": False, "tls_verify": True,
        "lines": ("Languages: none",), "suites": ("a", "b"), "components": ("main",),
    }  # fmt: skip
    body = source.make_body(given, "t")
    assert body["advancedRepoOptions"] == "Languages: none\nSuites: a b\nComponents: main"
    assert body["osFamily"] == "DEBIAN_12"
    assert body["isGpgCheckEnabled"] is False


@pytest.mark.parametrize(
    ("family", "vendor"), [("ORACLE_LINUX_9", "ORACLE"), ("ubuntu_24_04", "CANONICAL"), ("DEBIAN_12", "DEBIAN")]
)
def test_the_vendor_follows_from_the_family(family: str, vendor: str) -> None:
    assert profile.vendor_of(family) == vendor


@pytest.mark.parametrize(
    ("words", "option", "variable"),
    [
        (["hub", "init"], "database", "STATIONMASTER_DATABASE"),
        (["station", "create"], "forward_proxy", "STATIONMASTER_FORWARD_PROXY"),
        (["station", "register"], "forward_proxy", "STATIONMASTER_FORWARD_PROXY"),
    ],
)
def test_what_may_hold_a_password_may_come_by_the_environment(words: list[str], option: str, variable: str) -> None:
    found: click.Command = main.cli
    for word in words:
        assert isinstance(found, click.Group)
        deeper = found.get_command(click.Context(found), word)
        assert deeper is not None
        found = deeper
    assert {one.name: one.envvar for one in found.params}[option] == variable
