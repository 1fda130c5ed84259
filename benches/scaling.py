"""What grows with an estate: 100 sources that did not change, one of 65,000 packages, a no-op within a process."""

from __future__ import annotations

import gzip
import hashlib
import statistics
import time
from pathlib import Path

from benches import running
from stationmaster.host import clock, files, http
from stationmaster.mirror import engine, source, volume
from stationmaster.testing import simulated_repositories as repositories

Rows = list[tuple[str, str]]
_CONTENT = b"every package of the large repository has these bytes"
_REQUIRES = "".join(f'<rpm:entry name="lib{n}.so.1()(64bit)" flags="GE" epoch="0" ver="{n}"/>' for n in range(12))


def measure(work: Path, *, sources: int, packages: int, turns: int) -> Rows:
    """All figures as rows of name and value."""
    site = work / "site"
    site.mkdir(parents=True)
    configuration = _many(site, work, sources)
    _large(site / "large", packages)
    with running.served(site, work):
        mirror = running.fresh_mirror(work / "mirror")
        many: list[str | Path] = [running.STATIONMASTER, "mirror", "sync", "--config", configuration, "--json"]
        running.timed(many)
        time.sleep(3)  # a root that is seconds old is asked for without conditions (RFC 9110 section 8.8.2.2)
        running.timed(many)
        idle = [running.timed(many) for _ in range(turns)]
        large = ("--format", "rpm", "--url", f"{running.URL}/large/")
        cold = running.sync(mirror, "large", *large)
        again = running.sync(mirror, "large", *large)
        inside = _inside(mirror)
    return [
        (f"no-op of {sources} sources, one command", f"{running.seconds(idle)}, {idle[-1].processor:.2f} s processor"),
        ("no-op inside a running process", f"{statistics.median(inside) * 1000:.1f} ms"),
        (f"{packages} packages of metadata, cold", f"{cold.wall:.1f} s, peak {cold.peak_bytes / 1e6:.0f} MB"),
        ("  no-op", f"{again.wall:.2f} s, peak {again.peak_bytes / 1e6:.0f} MB"),
    ]


def _many(site: Path, work: Path, sources: int) -> Path:
    tables = [f'dest = "{work / "mirror"}"\n']
    for number in range(sources):
        name = f"source-{number:03}"
        contents = {f"p/{name}-{one}.rpm": f"{name} {one}".encode() * 40 for one in range(10)}
        for path, content in repositories.rpm_repository(contents).items():
            target = site / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        tables.append(f'[[source]]\nname = "{name}"\nformat = "rpm"\nurl = "{running.URL}/{name}/"\n')
    configuration = work / "mirror.toml"
    configuration.write_text("".join(tables))
    return configuration


def _large(root: Path, packages: int) -> None:
    """As much metadata as a large distribution has; its packages share their bytes, which are fetched once."""
    digest = hashlib.sha256(_CONTENT).hexdigest()
    lines = (
        f'<package type="rpm"><name>p{number}</name><arch>x86_64</arch><version epoch="0" ver="1.{number}" rel="1"/>'
        f'<checksum type="sha256" pkgid="YES">{digest}</checksum><summary>A package</summary>'
        f'<size package="{len(_CONTENT)}" installed="9" archive="9"/><location '
        f'href="Packages/{number % 97}/p{number}.rpm"/>'
        f"<format><rpm:license>MIT</rpm:license><rpm:requires>{_REQUIRES}</rpm:requires></format></package>\n"
        for number in range(packages)
    )
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<metadata xmlns="http://linux.duke.edu/metadata/common" '
        f'xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="{packages}">\n'
    )
    (root / "repodata").mkdir(parents=True)
    plain = (head + "".join(lines) + "</metadata>\n").encode()
    packed = gzip.compress(plain, 1, mtime=0)
    name = f"repodata/{hashlib.sha256(packed).hexdigest()}-primary.xml.gz"
    (root / name).write_bytes(packed)
    (root / "repodata" / "repomd.xml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo">'
        f'<revision>1700000000</revision><data type="primary"><checksum type="sha256">{Path(name).name[:64]}</checksum>'
        f'<location href="{name}"/><timestamp>1700000000</timestamp><size>{len(packed)}</size>'
        f"<open-size>{len(plain)}</open-size></data></repomd>\n"
    )
    first = root / "Packages" / "0" / "p0.rpm"
    first.parent.mkdir(parents=True)
    first.write_bytes(_CONTENT)
    # Whichever of the equal packages is asked for, it is there.
    for number in range(97):
        target = root / "Packages" / str(number) / f"p{number}.rpm"
        target.parent.mkdir(exist_ok=True)
        if not target.exists():
            target.write_bytes(_CONTENT)


def _inside(mirror: Path) -> list[float]:
    door = http.Http()
    place = volume.open_volume(files.Files(), mirror)
    machine = engine.Engine(files.Files(), door, clock.SystemClock())
    wanted = source.RpmSource("source-000", f"{running.URL}/source-000/")
    taken = []
    for _ in range(20):
        started = time.perf_counter()
        assert machine.sync(place, wanted).error is None
        taken.append(time.perf_counter() - started)
    door.close()
    return taken
