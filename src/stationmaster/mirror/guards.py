"""Guards that compare an upstream's new state with the one held, before anything of it is taken over."""

from __future__ import annotations

import datetime

from stationmaster.mirror import failures, fileref, manifest, outcome, upstream

_LARGEST_SKEW = datetime.timedelta(days=1)


def require_not_older(
    root: upstream.Root, former: manifest.Header | None, policy: outcome.SyncPolicy, now: datetime.datetime
) -> None:
    """RollbackRefusedError when the root is older than the one held (a replay, or a mirror that lags).

    What is held counts only with a time that can be: one root of the future would shut out all that follow it.
    """
    if former is None or policy.allow_rollback or not root.timestamp or root.timestamp >= former.timestamp:
        return
    if former.timestamp > (now + _LARGEST_SKEW).timestamp():
        return
    raise failures.RollbackRefusedError(
        f"The upstream's root is of {_shown(root.timestamp)}, older than the one held, of {_shown(former.timestamp)}.",
        hint="The last good generation stays. If the upstream went back on purpose, allow the rollback.",
    )


def require_not_shrunk(packages: int, former: manifest.Header | None, policy: outcome.SyncPolicy) -> None:
    """ShrunkRefusedError when far fewer packages are left than before: an accident has wiped whole mirrors."""
    if former is None or policy.allow_shrink or not former.packages:
        return
    is_large = former.packages >= policy.shrink_floor
    if packages and not (is_large and packages < former.packages * policy.shrink_ratio):
        return
    raise failures.ShrunkRefusedError(
        f"The upstream has {packages} packages left of {former.packages}.",
        hint="The last good generation stays. If that is meant, allow the shrinking.",
    )


def require_distinct_paths(root: upstream.Root) -> None:
    """MetadataInvalidError when files that the root names are in each other's place: they are fetched side by side."""
    found: dict[str, fileref.Checksum] = {}
    for ref in root.metadata:
        for path in (ref.path, *ref.also_at):
            if found.setdefault(path, ref.checksum) != ref.checksum:
                raise failures.MetadataInvalidError(f"The root names {path} twice, with different content.")
    for path in found:
        parts = path.split("/")
        above = next((one for n in range(1, len(parts)) if (one := "/".join(parts[:n])) in found), None)
        if above is not None:
            raise failures.MetadataInvalidError(f"The root names {above} both as a file and as a directory.")


def require_expected(root: upstream.Root, expected: str | None) -> None:
    """OtherGenerationError when another generation was asked for."""
    if expected is not None and root.generation != expected:
        raise failures.OtherGenerationError(
            f"The address shows generation {root.generation}, expected was {expected}.",
            hint="The holder moved on; ask again which generation to copy.",
        )


def _shown(timestamp: int) -> str:
    return datetime.datetime.fromtimestamp(timestamp, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
