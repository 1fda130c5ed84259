"""Why a sync is refused or fails: one class per guard, each with its stable code. The last good generation stays."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from stationmaster.model import errors

_FULL = {errno.ENOSPC, errno.EDQUOT}


class NotAVolumeError(errors.VolumeError):
    """The directory does not carry the expected marker (I11)."""

    code = "NotAVolume"


class VolumeFullError(errors.VolumeError):
    """The volume has no room for what is to come, or had none while writing.

    ``room_bytes``: how much must be free for it; 0 when that is not known.
    """

    code = "VolumeFull"
    room_bytes = 0


class WouldNotFitError(VolumeFullError):
    """What is to come would not fit and leave the reserve; known before the first byte of it."""

    code = "WouldNotFit"


class ManifestDamagedError(errors.VolumeError):
    """The record of a held generation cannot be read."""

    code = "ManifestDamaged"


class SyncRunningError(errors.ConflictError):
    """Another process is writing this source on this volume."""

    code = "SyncRunning"


class LeaseLostError(errors.ConflictError):
    """The token under which something was to be removed is closed, or its time is over (ha-protocol R1)."""

    code = "LeaseLost"


class OtherGenerationError(errors.UpstreamError):
    """Another generation is at the address than the one that was asked for."""

    code = "OtherGeneration"


class StoppedError(errors.StationmasterError):
    """The sync was told to stop; what it has fetched is kept for the next run."""

    code = "Stopped"


class UnavailableError(errors.UpstreamError):
    """The upstream cannot be reached, or lacks what it must have. ``status`` is its HTTP answer, None without one."""

    code = "UpstreamUnavailable"

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status

    @property
    def is_absent(self) -> bool:
        """Whether the upstream answered that it has no such file; S3 says 403 for that."""
        return self.status in (403, 404, 410)


class TooSlowError(errors.UpstreamError):
    """A transfer stayed below the floor for too long."""

    code = "TooSlow"


class RedirectRefusedError(errors.UpstreamError):
    """A redirect leads to another scheme than http and https, in circles, or from https to http for a root."""

    code = "RedirectRefused"


class HtmlInsteadOfMetadataError(errors.UpstreamError):
    """A web page came where metadata was expected: a captive portal, a login page, an error page with status 200."""

    code = "HtmlInsteadOfMetadata"


class MetadataInvalidError(errors.UpstreamError):
    """Metadata is not what its format demands."""

    code = "MetadataInvalid"


class EntityRefusedError(MetadataInvalidError):
    """XML declares a document type or entities, which repository metadata never needs."""

    code = "EntityRefused"


class MetadataTooLargeError(errors.UpstreamError):
    """A root document without end, or an index that unpacks to more than it states."""

    code = "MetadataTooLarge"


class UnsafePathError(errors.UpstreamError):
    """A path leaves the tree, or cannot be a path in it."""

    code = "UnsafePath"


class ChecksumError(errors.UpstreamError):
    """Bytes are not those that the chain from the root document promises."""

    code = "DigestMismatch"


class DigestMismatchError(ChecksumError):
    """Another digest came than the one expected."""

    code = "DigestMismatch"


class SizeMismatchError(ChecksumError):
    """More or fewer bytes came than expected."""

    code = "SizeMismatch"


class WeakDigestError(errors.UpstreamError):
    """Metadata offers no digest that can be trusted (MD5 only, or none)."""

    code = "WeakDigest"


class SignatureInvalidError(errors.UpstreamError):
    """No signature of the root document verifies against a pinned key."""

    code = "SignatureInvalid"


class KeyExpiredError(errors.UpstreamError):
    """No pinned key is still valid."""

    code = "KeyExpired"


class SignatureMissingError(errors.UpstreamError):
    """A key is pinned, and the root document carries no signature."""

    code = "SignatureMissing"


class PackageSignatureError(errors.UpstreamError):
    """Packages are not signed by a pinned key, and the operator wants each of them to be."""

    code = "PackageSignature"


class ReleaseExpiredError(errors.UpstreamError):
    """``Valid-Until`` has passed: the upstream is stale, or somebody replays it."""

    code = "ReleaseExpired"


class RollbackRefusedError(errors.UpstreamError):
    """The root is older than the one held."""

    code = "RollbackRefused"


class ShrunkRefusedError(errors.UpstreamError):
    """Far fewer packages than before: more likely an accident upstream than a wish."""

    code = "ShrunkRefused"


class MetadataChangingError(errors.UpstreamError):
    """The upstream changed under our hands again and again."""

    code = "MetadataChanging"


@contextlib.contextmanager
def translated_os_errors(where: Path) -> Iterator[None]:
    """Name the cause of what the file system of a volume refuses."""
    try:
        yield
    except OSError as exc:
        place = exc.filename or where
        if exc.errno in _FULL:
            raise VolumeFullError(
                f"The volume is full: {exc.strerror} at {place}.", hint="Free some room, or run `mirror clean`."
            ) from exc
        raise errors.VolumeError(
            f"The volume cannot be used: {exc.strerror or exc} at {place}.", hint="Check mount, rights and storage."
        ) from exc
