"""The optional check of each RPM's own signature, before a generation is published (I13).

What was checked by the same keys is written down beside the generation (``signatures.json``), so that the next one
costs what changed. Refused packages are named; the generation is not published, and the last good one stays.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from stationmaster.host import files as host_files
from stationmaster.mirror import catalog, failures, fileref, manifest, source, volume

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stationmaster.mirror import trust

_RECORD = "signatures.json"
_PACKAGE = fileref.Kind.PACKAGE.value
_MOST_NAMED = 10


class PackageCheck:
    """The check for one source; does nothing for those that do not ask for it."""

    def __init__(self, files: host_files.Files, place: volume.Volume, wanted: source.Source) -> None:
        self._files = files
        self._volume = place
        self._name = wanted.name
        self._keys = wanted.package_keys if isinstance(wanted, source.RpmSource) else ()

    def is_done(self, generation: str) -> bool:
        """Whether nothing is left to check of a held generation."""
        return not self._keys or self._is_recorded(generation, self._keyring())

    def require(self, directory: Path, threads: int) -> None:
        """PackageSignatureError naming the packages of ``directory`` (staged or held) that no key of ours signed."""
        if not self._keys:
            return
        from stationmaster.mirror import transfer

        keyring = self._keyring()
        refused: dict[str, str] = {}
        lock = threading.Lock()

        def work(entry: manifest.Entry) -> None:
            if why := self._problem(entry, keyring):
                with lock:
                    refused[entry.p] = why

        transfer.run_parallel(self._unchecked(directory, keyring), work, threads=threads)
        if refused:
            raise _refusal(refused)
        self._files.write_atomic(directory / _RECORD, msgspec.json.encode(_names(keyring)), durable=False)

    def _unchecked(self, directory: Path, keyring: trust.Keyring) -> Iterator[manifest.Entry]:
        """The packages that the former generation, checked by the same keys, does not vouch for."""
        former = catalog.newest_header(self._volume, self._name)
        held: Iterator[manifest.Entry] = iter(())
        if former is not None and self._is_recorded(former.generation, keyring):
            held = manifest.read_entries(self._volume.manifest(self._name, former.generation))
        for old, new in manifest.paired(held, manifest.read_entries(directory / "manifest.jsonl")):
            is_vouched = old is not None and new is not None and manifest.is_same_content(old, new)
            if new is not None and new.k == _PACKAGE and not is_vouched:
                yield new

    def _problem(self, entry: manifest.Entry, keyring: trust.Keyring) -> str:
        from stationmaster.mirror import rpmfile

        try:
            rpmfile.require_signed(self._volume.pool_path("sha256", entry.d), keyring)
        except rpmfile.UnsignedError as exc:
            return str(exc)
        return ""

    def _is_recorded(self, generation: str, keyring: trust.Keyring) -> bool:
        try:
            record = (self._volume.generation(self._name, generation) / _RECORD).read_bytes()
            return msgspec.json.decode(record, type=list[str]) == _names(keyring)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return False

    def _keyring(self) -> trust.Keyring:
        from stationmaster.mirror import trust

        keyring = trust.load_keyring(self._keys)
        assert keyring is not None  # noqa: S101 - there are keys, and each file holds one or is refused
        return keyring


def _names(keyring: trust.Keyring) -> list[str]:
    return sorted(certificate.fingerprint.upper() for certificate in keyring.certificates)


def _refusal(refused: dict[str, str]) -> failures.PackageSignatureError:
    named = "; ".join(f"{path} {why}" for path, why in sorted(refused.items())[:_MOST_NAMED])
    more = f"; and {len(refused) - _MOST_NAMED} more" if len(refused) > _MOST_NAMED else ""
    return failures.PackageSignatureError(
        f"{len(refused)} packages are refused: {named}{more}.",
        hint="The last good generation stays. Ask the upstream, or pin the key that signs these packages.",
    )
