"""One target under atheris in a process of its own: `python -m fuzz.worker TARGET FOUND_DIR [libFuzzer options]`.

Escapes do not end the run: the input is kept once per kind, and fuzzing goes on. Only what cannot be caught (a hang
beyond the limit of libFuzzer, memory beyond its bound, a crash of an extension) ends the process; another follows.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
import traceback
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["stationmaster", "email", "urllib"]):
    from stationmaster.testing import fuzz_targets as targets

_SLOW_SECONDS = 5.0
_GROWTH_KIB = 96 << 10  # one input may not raise the peak by more


class Watch:
    """Runs a target on one input after another, and keeps what escapes."""

    def __init__(self, name: str, directory: Path) -> None:
        self._target = targets.TARGETS[name]
        self._name = name
        self._directory = directory
        self._seen: set[str] = set()

    def one(self, content: bytes) -> None:
        """One input."""
        before, start = _peak_kib(), time.monotonic()
        try:
            self._target(content)
        except targets.OUR_ERRORS:
            pass
        except BaseException as exc:  # everything else is an escape
            if isinstance(exc, KeyboardInterrupt | SystemExit | MemoryError):
                raise
            frames = traceback.extract_tb(exc.__traceback__)
            self._keep(content, f"{type(exc).__name__} at {Path(frames[-1].filename).name}:{frames[-1].lineno}", exc)
        if time.monotonic() - start > _SLOW_SECONDS:
            self._keep(content, f"slow: {time.monotonic() - start:.0f} s", None)
        if (grown := _peak_kib() - before) > _GROWTH_KIB:
            self._keep(content, f"memory: {grown >> 10} MiB more", None)

    def _keep(self, content: bytes, kind: str, exc: BaseException | None) -> None:
        sort = kind.partition(":")[0] if exc is None else kind
        if sort in self._seen:
            return
        self._seen.add(sort)
        name = f"{self._name}-{hashlib.sha256(content).hexdigest()[:12]}"
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / name).write_bytes(content)
        shown = {"target": self._name, "input": name, "kind": kind, "error": repr(exc)[:300]}
        with (self._directory / "escapes.jsonl").open("a") as log:
            log.write(json.dumps(shown) + "\n")


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Fuzz until libFuzzer's own limits end it."""
    name, directory = sys.argv[1:3]
    watch = Watch(name, Path(directory))
    atheris.Setup([sys.argv[0], *sys.argv[3:]], watch.one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
