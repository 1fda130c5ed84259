"""`mirror sync --config`: what is read, and that whatever is wrong is told with its line."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from stationmaster.cli import amounts, main, mirror_config, mirror_display
from stationmaster.mirror import ledger, limits, outcome, source

WHOLE = """\
dest = "mirror"
clean = true

[limits]
rate = "10M"
rate-per-host = "512 kB"
connections = 16
connections-per-host = 4
connections-per-source = 2
sources-at-once = 3
reserve = "1G"

[retention]
generations = 5
days = 7

[[source]]
name = "el9"
format = "rpm"
url = ["http://one.example/el9", "http://two.example/el9"]
allow-rollback = true
gpg-keys = "el9.asc"

[[source]]
name = "noble"
format = "deb"
url = "http://one.example/ubuntu"
suites = ["noble", "noble-updates"]
components = ["main"]
architectures = ["amd64"]
credentials-file = "secret"
"""


@pytest.fixture
def write(tmp_path: Path) -> Path:
    (tmp_path / "el9.asc").write_bytes(b"key")
    (tmp_path / "secret").write_text("token=abc\n")
    (tmp_path / "secret").chmod(0o600)
    return tmp_path / "mirror.toml"


def test_everything_in_it_is_read(write: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATIONMASTER_MIRROR_PASSWORD", "for one upstream, not for all")
    write.write_text(WHOLE)
    plan = mirror_config.read_plan(write, None)
    assert plan.dest == write.parent / "mirror"
    assert plan.settings == limits.LimitSettings(10 << 20, 512 << 10, 16, 4)
    assert (plan.threads, plan.at_once) == (2, 3)
    assert plan.cleaning is not None
    assert (plan.cleaning.generations, plan.cleaning.days) == (5, 7)
    el9, noble = plan.tasks
    assert isinstance(el9.source, source.RpmSource)
    assert el9.source.addresses == ("http://one.example/el9/", "http://two.example/el9/")
    assert el9.source.keys == (b"key",)
    assert el9.policy == outcome.SyncPolicy(allow_rollback=True, reserve_bytes=1 << 30)
    assert el9.credentials.authorization == ""
    assert isinstance(noble.source, source.DebSource)
    assert noble.source.suites == ("noble", "noble-updates")
    assert noble.credentials.authorization == "Bearer abc"
    assert mirror_config.read_plan(write, Path("/elsewhere")).dest == Path("/elsewhere")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("connections = 16", "conections = 16", ":7: [limits] conections: is not known here; known are connections"),
        ("connections = 16", "connections = 0", ":7: [limits] connections: 0 cannot be used: expected is a number"),
        ('rate = "10M"', 'rate = "fast"', ":5: [limits] rate: 'fast' cannot be used"),
        ('rate = "10M"', 'rate = "10M', "is no TOML: "),
        ('format = "deb"', 'format = "apk"', ":26: [source] format: 'apk' cannot be used: expected is rpm or deb"),
        ('format = "deb"\n', "", ":24: [source] format: is missing"),
        ('name = "noble"', 'name = "el9"', ":25: [source] name: el9 is the name of a source above"),
        ('components = ["main"]', "components = [1]", ":29: [source] components: [1] cannot be used"),
        ('components = ["main"]\n', "", ":25: [source] name: noble: "),
        ("clean = true", 'clean = "yes"', ":2: clean: 'yes' cannot be used: expected is true or false"),
        ('gpg-keys = "el9.asc"', 'gpg-keys = "none.asc"', ":18: [source] name: el9: Cannot read the key"),
        ('dest = "mirror"\n', "", "dest: is missing, as is the option --dest"),
        ("[retention]", "[retentions]", "retentions: is not known here"),
        ("days = 7", "hours = 7", ":15: [retention] hours: is not known here; known are days, generations"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(write: Path, old: str, new: str, complaint: str) -> None:
    assert old in WHOLE
    write.write_text(WHOLE.replace(old, new, 1) if old != "connections = 16" else WHOLE.replace(old, new))
    with pytest.raises(click.UsageError) as caught:
        mirror_config.read_plan(write, None)
    assert str(write) in caught.value.message
    assert complaint in caught.value.message


def test_a_file_without_sources_or_none_at_all(write: Path) -> None:
    write.write_text('dest = "x"\n')
    with pytest.raises(click.UsageError, match="at least one table"):
        mirror_config.read_plan(write, None)
    with pytest.raises(click.UsageError, match="Cannot read"):
        mirror_config.read_plan(write.with_name("none"), None)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config", "x.toml", "--name", "y"],
        ["--config", "x.toml", "--allow-shrink"],
        ["--format", "rpm", "--url", "http://x/", "--name", "x"],
        ["--format", "rpm", "--url", "http://x/", "--dest", "d"],
        ["--format", "rpm", "--url", "http://x/", "--name", "x", "--dest", "d", "--limit-rate", "0"],
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["mirror", "sync", *arguments]) == 2
    assert "Error" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"),
    [("10M", 10 << 20), ("1.5 GiB", 3 << 29), ("750000", 750_000), ("64kb", 64 << 10), ("2T/s", 2 << 40)],
)
def test_amounts(text: str, size: int) -> None:
    assert amounts.parse_amount(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "10 apples", "M", "1e3"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no amount"):
        amounts.parse_amount(text)


def test_a_log_gets_a_line_per_change_of_state(capsys: pytest.CaptureFixture[str]) -> None:
    display = mirror_display.make_display(2, is_quiet=False)
    found = ledger.Ledger(3, 3 << 20, 1 << 20, 1 << 30, 0, 64 << 20)
    packages = outcome.Phase.PACKAGES
    for progress in (
        outcome.Progress(outcome.Phase.ROOT),
        outcome.Progress(outcome.Phase.ROOT, note="process 7 on b was writing here"),
        outcome.Progress(outcome.Phase.METADATA, ledger=found),
        *(outcome.Progress(packages, done, 3, done << 20, 3 << 20) for done in range(4)),
    ):
        display.show("el9", progress)
    display.end("el9")
    display.close()
    assert capsys.readouterr().err.splitlines() == [
        "el9: root document",
        "el9: process 7 on b was writing here",
        "el9: needs 3.0 MiB in 3 files, holds 1.0 MiB, 1.0 GiB free, 64.0 MiB in reserve",
        "el9: packages, 3 files, 3.0 MiB",
    ]


def test_bars_show_each_source_and_all(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "150")
    display = mirror_display.make_display(2, is_quiet=False)
    for name in ("el9", "noble"):
        for done in range(3):
            display.show(name, outcome.Progress(outcome.Phase.PACKAGES, done, 2, done << 20, 2 << 20))
        display.end(name)
    display.close()
    shown = capsys.readouterr().err
    assert "in all: 2/2 sources" in shown
    assert "4.0/4.0 MiB" in shown
