"""`make fuzz`: all targets in turns, one process at a time, for so many minutes; prints and keeps a table of totals."""

from __future__ import annotations

import argparse
import collections
import datetime
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from fuzz import seeds
from stationmaster.testing import fuzz_targets as targets

_DONE = re.compile(rb"Done (\d+) runs in (\d+) second")
_AT = re.compile(rb"^#(\d+)\s", re.MULTILINE)
_ENVIRONMENT = {"RUST_LIB_BACKTRACE": "0", "RUST_BACKTRACE": "0"}  # a trace of each refusal takes 70 ms
_OPTIONS = ("-timeout=10", "-rss_limit_mb=1024", "-max_len=65536", "-verbosity=1", "-print_final_stats=1")


def main() -> int:
    """Fuzz; exit status 1 when anything escaped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--slice", type=float, default=60, help="seconds that a target gets in each turn")
    parser.add_argument("--target", action="append", choices=sorted(targets.TARGETS), help="only this one; repeatable")
    parser.add_argument("--work", type=Path, default=Path(".state/fuzz"), help="corpus, escapes and totals")
    chosen = parser.parse_args()
    work = chosen.work.resolve()
    key = seeds.make_seeds(work / "corpus")
    totals: dict[str, list[float]] = collections.defaultdict(lambda: [0, 0.0, 0])
    end = time.monotonic() + chosen.minutes * 60
    names = chosen.target or sorted(targets.TARGETS)
    while time.monotonic() < end:
        for name in names:
            seconds = min(chosen.slice, end - time.monotonic())
            if seconds < 1:
                break
            runs, took, status = _turn(name, work, key, int(seconds) or 1)
            total = totals[name]
            totals[name] = [total[0] + runs, total[1] + took, total[2] + (status != 0)]
            _note(work, name, runs, took, status)
    return _report(totals, work / "escapes")


def _turn(name: str, work: Path, key: Path, seconds: int) -> tuple[int, float, int]:
    """One target for some seconds: runs, seconds, exit status of the process."""
    escapes = work / "escapes"
    escapes.mkdir(parents=True, exist_ok=True)
    corpus = work / "corpus"
    command = [
        sys.executable, "-m", "fuzz.worker", name, str(escapes), str(corpus / name), f"-dict={corpus / 'dictionary'}",
        f"-max_total_time={seconds}", f"-artifact_prefix={escapes}/{name}-", *_OPTIONS,
    ]  # fmt: skip
    started = time.monotonic()
    with (work / f"{name}.log").open("wb+") as log:
        done = subprocess.run(
            command, stdout=log, stderr=log, check=False, env={**os.environ, **_ENVIRONMENT, "FUZZ_KEY": str(key)},
            preexec_fn=lambda: os.nice(19),
        )  # fmt: skip
        log.seek(0)
        text = log.read()
    found = _DONE.search(text)
    counted = [int(number) for number in _AT.findall(text)]
    return (int(found[1]) if found else max(counted, default=0)), time.monotonic() - started, done.returncode


def _note(work: Path, name: str, runs: int, took: float, status: int) -> None:
    now = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
    line = {"at": now, "target": name, "runs": runs, "seconds": round(took, 1), "status": status}
    with (work / "turns.jsonl").open("a") as log:
        log.write(json.dumps(line) + "\n")


def _report(totals: dict[str, list[float]], escapes: Path) -> int:
    width = max(map(len, totals), default=6)
    print(f"{'target':<{width}}  {'runs':>12}  {'minutes':>7}  ended early")
    for name, (runs, seconds, broken) in sorted(totals.items()):
        print(f"{name:<{width}}  {runs:>12,.0f}  {seconds / 60:>7.1f}  {broken:.0f}")
    runs, seconds = (sum(one[index] for one in totals.values()) for index in (0, 1))
    print(f"in all {runs:,.0f} runs, {seconds / 60:.1f} minutes")
    kept = sorted(path.name for path in escapes.glob("*")) if escapes.is_dir() else []
    for name in kept:
        print(f"escape: {escapes / name}")
    return 1 if kept else 0


if __name__ == "__main__":
    sys.exit(main())
