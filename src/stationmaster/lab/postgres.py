"""A PostgreSQL server of the lab's own on one of its hosts, for a hub whose database can be lost on its own."""

from __future__ import annotations

from pathlib import Path

from stationmaster.host import files, network
from stationmaster.lab import host, waiting
from stationmaster.model import errors

_PORT = 5432
_USER = "postgres"  # the server refuses to run as root
_INSTALLED = Path("/usr/lib/postgresql")
# The lab's networks reach nobody outside, and the data is the lab's own: no password.
_ACCESS = "local all all trust\nhost all all 10.0.0.0/8 trust\n"


class Postgres:
    """One server, listening on its host's address."""

    def __init__(self, on: host.LabHost, effects: files.Files) -> None:
        self.on = on
        self._effects = effects
        self._directory = on.directory / "postgres"

    @property
    def url(self) -> str:
        """What a hub is given as ``--database``."""
        return f"postgresql://{_USER}@{self.on.address}:{_PORT}/postgres"

    def make(self) -> None:
        """Make the data directory."""
        self._effects.make_directory(self._directory)
        self.on.run(["chown", _USER, self._directory]).require_success("Giving PostgreSQL its directory")
        options: list[str | Path] = ["-D", self._directory / "data", "-A", "trust", "-U", _USER, "--no-sync"]
        self.on.run(["runuser", "-u", _USER, "--", _program("initdb"), *options]).require_success("initdb")
        (self._directory / "data" / "pg_hba.conf").write_text(_ACCESS)

    def start(self) -> None:
        """Start the server, also one that was killed; returns when it takes connections."""
        (self._directory / "data" / "postmaster.pid").unlink(missing_ok=True)  # its process id may be somebody else's
        settings = {"listen_addresses": self.on.address, "unix_socket_directories": self._directory, "fsync": "off"}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command: list[str | Path] = [
            "runuser",
            "-u",
            _USER,
            "--",
            _program("postgres"),
            "-D",
            self._directory / "data",
            *words,
        ]
        self.on.start(command, log="postgres.log")
        waiting.until(self._is_answering, 20, "PostgreSQL")

    def _is_answering(self) -> bool:
        return self.on.call(lambda: network.is_answering(self.on.address, _PORT, timeout=1.0))


def _program(name: str) -> Path:
    found = sorted(_INSTALLED.glob(f"*/bin/{name}"))
    if not found:
        raise errors.ProgramMissingError(
            f"There is no {name} below {_INSTALLED}.", hint="Install the package postgresql."
        )
    return found[-1]
