import subprocess
import sys
from pathlib import Path

import pytest

STATIONMASTER = Path(sys.executable).with_name("stationmaster")
HEAVY = {"rich", "sqlalchemy", "starlette", "cryptography", "urllib3", "jinja2"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["mirror", "--help"], ["station", "--help"], ["agent", "run", "--help"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """Start-up time is a stated figure (design 13); what is imported decides it."""
    light = HEAVY if arguments[0] != "station" else {"rich", "sqlalchemy", "starlette", "jinja2"}
    code = (
        f"import sys; from stationmaster.cli import main; status = main.run({arguments!r})\n"
        f"found = sorted(set(sys.modules) & {light!r}); sys.exit(status or ', '.join(found) or 0)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr


def test_a_reader_that_goes_away_early_is_no_error() -> None:
    reader = subprocess.Popen(["head", "-n", "1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    said = subprocess.run(
        [STATIONMASTER, "completion", "bash"], stdout=reader.stdin, stderr=subprocess.PIPE, check=False
    )
    reader.communicate()
    assert said.stderr == b""


def test_completion_offers_commands_and_options() -> None:
    environment = {"_STATIONMASTER_COMPLETE": "bash_complete", "COMP_WORDS": "stationmaster sta", "COMP_CWORD": "1"}
    said = subprocess.run([STATIONMASTER], env=environment, capture_output=True, text=True, check=False)
    assert said.stdout.split() == ["plain,station"]
