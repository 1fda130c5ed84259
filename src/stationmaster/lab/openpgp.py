"""Throw-away OpenPGP keys of the lab's own upstreams, used through the real gpg."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from stationmaster.host import files, programs

_GPG = ("gpg", "--batch", "--yes", "--quiet", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", "")


@dataclasses.dataclass(frozen=True)
class SigningKey:
    """A key pair in two files: ``public.asc``, which clients pin, and ``secret.asc``, which only root may read."""

    directory: Path
    user_id: str

    @property
    def public(self) -> Path:
        """The armored public key."""
        return self.directory / "public.asc"

    @property
    def secret(self) -> Path:
        """The armored secret key, without a passphrase."""
        return self.directory / "secret.asc"


class Keyring:
    """A key loaded into a gpg home directory of its own; see ``opened``."""

    def __init__(self, home: Path, key: SigningKey, runner: programs.Programs) -> None:
        self._home = home
        self._key = key
        self._runner = runner

    def sign_detached(self, document: Path, signature: Path) -> None:
        """An armored signature beside a document."""
        self._gpg("--armor", "--detach-sign", "--output", signature, document)

    def sign_inline(self, document: Path, signed: Path) -> None:
        """A cleartext-signed copy of a document (InRelease)."""
        self._gpg("--clearsign", "--output", signed, document)

    def sign_rpms(self, packages: Sequence[Path]) -> None:
        """Sign packages in place, as ``gpgcheck=1`` wants them."""
        definitions = [
            f"_gpg_name {self._key.user_id}",
            f"_gpg_path {self._home}",
            f"__gpg {self._runner.require('gpg')}",
        ]
        defines = [word for definition in definitions for word in ("--define", definition)]
        self._runner.run(["rpmsign", *defines, "--addsign", *packages], timeout=600).require_success("Signing packages")

    def _gpg(self, *arguments: str | Path) -> None:
        chosen = ("--homedir", self._home, "--local-user", self._key.user_id)
        self._runner.run([*_GPG, *chosen, *arguments]).require_success("Signing with gpg")


def generate(directory: Path, user_id: str, runner: programs.Programs) -> SigningKey:
    """Make a key (RSA 3072, which every client of interest knows) and write both halves below ``directory``."""
    key = SigningKey(directory, user_id)
    files.Files().make_directory(directory)
    with _home() as home, _agent_ends(home, runner):
        for arguments in (
            ("--quick-generate-key", user_id, "rsa3072", "sign", "never"),
            ("--armor", "--output", key.public, "--export", user_id),
            ("--armor", "--output", key.secret, "--export-secret-keys", user_id),
        ):
            runner.run([*_GPG, "--homedir", home, *arguments]).require_success("Making a key")
    key.secret.chmod(0o600)
    return key


@contextlib.contextmanager
def opened(key: SigningKey, runner: programs.Programs) -> Iterator[Keyring]:
    """The key, ready to sign with; gpg's agent ends with the context."""
    with _home() as home, _agent_ends(home, runner):
        runner.run([*_GPG, "--homedir", home, "--import", key.secret]).require_success("Loading a key")
        yield Keyring(home, key, runner)


@contextlib.contextmanager
def _home() -> Iterator[Path]:
    # Not below the caller's directory: the agent's socket must keep within the 108 bytes of a socket path.
    with files.Files().temporary_directory(prefix="sm-gpg-") as name:
        yield Path(name)


@contextlib.contextmanager
def _agent_ends(home: Path, runner: programs.Programs) -> Iterator[None]:
    try:
        yield
    finally:
        runner.run(["gpgconf", "--homedir", home, "--kill", "all"])
