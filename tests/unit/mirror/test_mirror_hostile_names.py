"""Names, sizes and digests that an upstream may put wherever it names a file: refused, and nothing outside touched."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from email import utils
from pathlib import Path

import pytest

from stationmaster.mirror import inspection, outcome
from stationmaster.testing import mirror_bench
from stationmaster.testing import simulated_repositories as repositories

Bench = mirror_bench.Bench
ROOT = "repodata/repomd.xml"
GOOD = {f"Packages/p{number:02}.rpm": b"%d" % number for number in range(12)}
BODY = b"evil"
SHA = hashlib.sha256(BODY).hexdigest()
NAMES = [
    "../../../canary", "/canary", "//host/canary", "http://host/canary", "file:///canary", "a/../../../../canary",
    "a\\..\\canary", "a\x1bb", "a\x7fb", "a\u009bb", "a" * 256, "d/" * 600 + "x", ".metadata/canary", "a/", "", ".",
    "..",    "./..", "ü" * 128,
]  # fmt: skip


def xml(text: str) -> str:
    plain = text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return "".join(one if one >= " " else f"&#{ord(one)};" for one in plain)


def package(name: str) -> dict[str, bytes]:
    primary = repositories.primary_xml({**GOOD, "HERE": BODY}).replace(b'"HERE"', f'"{xml(name)}"'.encode())
    return repositories.rpm_repository(GOOD, timestamp=1_700_000_500, primary=primary)


def data_file(name: str) -> dict[str, bytes]:
    files = repositories.rpm_repository(GOOD, timestamp=1_700_000_500, further={"other": b"<o/>"})
    path = next(path for path in files if path.endswith("other.xml.gz"))
    files[ROOT] = files[ROOT].replace(path.encode(), xml(name).encode())
    return files


def delta(name: str) -> dict[str, bytes]:
    content = (
        f"<prestodelta><newpackage><delta><filename>{xml(name)}</filename><size>4</size>"
        f'<checksum type="sha256">{SHA}</checksum></delta></newpackage></prestodelta>'
    )
    return repositories.rpm_repository(GOOD, timestamp=1_700_000_500, further={"prestodelta": content.encode()})


def deb(index: bytes, kind: str = "main/binary-amd64/Packages", listed: str = "", **fields: str) -> dict[str, bytes]:
    """An archive with one index; its Release lists another path beside it."""
    files = {kind: index}
    text = repositories.release_text(files, fields={"Components": "main", "Architectures": "amd64", **fields})
    if listed:
        text += f" {SHA} {len(BODY)} {listed}\n".encode()
    return {"dists/stable/InRelease": text, f"dists/stable/{kind}": index}


def filename(name: str) -> dict[str, bytes]:
    return deb(repositories.packages_text(GOOD) + f"\nPackage: x\nFilename: {name}\nSize: 4\nSHA256: {SHA}\n".encode())


def source_file(name: str) -> dict[str, bytes]:
    text = f"Package: x\nDirectory: pool\nChecksums-Sha256:\n {SHA} 4 {name}\n"
    return deb(text.encode(), "main/source/Sources")


def source_directory(name: str) -> dict[str, bytes]:
    text = f"Package: x\nDirectory: {name}\nChecksums-Sha256:\n {SHA} 4 {'../' * 3}canary\n"
    return deb(text.encode(), "main/source/Sources")


def release_entry(name: str) -> dict[str, bytes]:
    return deb(repositories.packages_text(GOOD), listed=f"main/i18n/{name}")


PLACES: dict[str, Callable[[str], dict[str, bytes]]] = {
    "package": package,
    "data": data_file,
    "delta": delta,
    "filename": filename,
    "source": source_file,
    "directory": source_directory,
    "release": release_entry,
}


@pytest.fixture
def held(bench: Bench) -> Bench:
    bench.site.files = repositories.rpm_repository(GOOD)
    assert bench.sync().state is outcome.State.SYNCED
    return bench


def attempt(bench: Bench, place: str) -> outcome.SyncOutcome:
    if place in ("package", "data", "delta"):
        return bench.sync()
    return bench.sync_deb(architectures=("source",) if place in ("source", "directory") else ("amd64",))


def outside(bench: Bench) -> list[str]:
    """Everything beside the volume, which lies in a directory of the test's own."""
    return sorted(str(path) for path in bench.root.parent.rglob("*") if not path.is_relative_to(bench.root))


@pytest.mark.parametrize("place", sorted(PLACES))
def test_names_that_lead_astray(held: Bench, place: str) -> None:
    before, beside = held.published(), outside(held)
    for name in NAMES:
        if place == "release" and name in ("a/", "", ".", "..", "./..", "/canary", "//host/canary", ".metadata/canary"):
            continue  # below main/i18n/ these name a directory, or stay in the tree
        if place in ("source", "filename", "directory", "release") and name == "":
            continue
        held.site.files = PLACES[place](name)
        for path in ("canary", "evil"):
            held.site.files[path] = BODY
        result = attempt(held, place)
        assert result.error is not None, name
        wanted = {"UnsafePath", "MetadataInvalid"} if place in ("delta", "data", "package") else {"UnsafePath"}
        assert result.error.code in wanted, (name, result.error)
        assert "\x1b" not in str(result.error)
        assert len(result.error.message) < 1000
        assert held.published() == before
    assert outside(held) == beside


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<size>", b"<size>-"),
        (b"<size>", b"<size>1e"),
        (b"<size>", b"<size>" + b"9" * 30),
        (b"<open-size>", b"<open-size>-"),
        (b"<size>", "<size>\u0661".encode()),
        (b'checksum type="sha256">', b'checksum type="sha256">00'),
        (b'checksum type="sha256"', b'checksum type="sha512"'),
        (b'checksum type="sha256">', b'checksum type="sha256">zz'),
    ],
)
def test_sizes_and_digests_that_are_none(held: Bench, old: bytes, new: bytes) -> None:
    files = repositories.rpm_repository(GOOD, timestamp=1_700_000_500, further={"other": b"<o/>"})
    files[ROOT] = files[ROOT].replace(old, new)
    held.site.files = files
    result = held.sync()
    assert result.error is not None
    assert result.error.code == "MetadataInvalid"


@pytest.mark.parametrize("kind", ["md5", "crc32", "", "sha1024", "shake_128"])
def test_digests_that_prove_nothing(held: Bench, kind: str) -> None:
    files = repositories.rpm_repository(GOOD, timestamp=1_700_000_500)
    held.site.files = {**files, ROOT: files[ROOT].replace(b'type="sha256"', f'type="{kind}"'.encode())}
    result = held.sync()
    assert result.error is not None
    assert result.error.code == "WeakDigest"


def test_upper_case_digests_are_digests(held: Bench) -> None:
    files = repositories.rpm_repository({**GOOD, "x.rpm": b"x"}, timestamp=1_700_000_500)
    digest = files[ROOT].partition(b'"sha256">')[2][:64]
    held.site.files = {**files, ROOT: files[ROOT].replace(b">" + digest, b">" + digest.upper())}
    assert held.sync().error is None


def named(path: str, kind: str = "x", digest: str = SHA) -> str:
    return f'<data type="{kind}"><checksum type="sha256">{digest}</checksum><location href="{path}"/></data>'


@pytest.mark.parametrize(
    ("further", "code"),
    [
        (named(ROOT), "DigestMismatch"),
        (named("repodata/y") + named("repodata/y/z", "z"), "MetadataInvalid"),
        (named("y") + named("y", "z", "0" * 64), "MetadataInvalid"),
        (named("Packages/p00.rpm"), "MetadataInvalid"),
        (named("Packages"), "MetadataInvalid"),
    ],
    ids=["itself", "below", "twice", "package", "directory"],
)
def test_roots_that_contradict_themselves(held: Bench, further: str, code: str) -> None:
    files = repositories.rpm_repository(GOOD, timestamp=1_700_000_500)
    files[ROOT] = files[ROOT].replace(b"</repomd>", further.encode() + b"</repomd>")
    before = held.published()
    held.site.files = {**files, "repodata/y": BODY, "repodata/y/z": BODY, "y": BODY, "Packages": BODY}
    if "Packages/p00" in further:
        held.site.files["Packages/p00.rpm"] = BODY
    result = held.sync()
    assert result.error is not None
    assert result.error.code == code, result.error
    assert held.published() == before


def test_packages_beside_and_below_each_other(held: Bench) -> None:
    """Names that differ by case, packages where metadata lies, and two packages of one name and version."""
    packages = {**GOOD, "packages/P00.rpm": b"1", "Packages/P00.rpm": b"2", "repodata/x.rpm": b"3", "x/p00.rpm": b"4"}
    held.site.files = repositories.rpm_repository(packages, timestamp=1_700_000_500)
    assert held.sync().error is None
    assert {**held.published(), **packages} == held.published()
    assert inspection.verify(held.volume, held.clock).is_whole
    primary = repositories.primary_xml({**GOOD, "HERE": b"x"}).replace(b"HERE", ROOT.encode())
    held.site.files = repositories.rpm_repository(GOOD, timestamp=1_700_000_900, primary=primary)
    result = held.sync()
    assert result.error is not None
    assert result.error.code == "MetadataInvalid"


def test_one_path_with_two_digests(held: Bench) -> None:
    primary = repositories.primary_xml({**GOOD, "x.rpm": b"1", "HERE": b"2"}).replace(b"HERE", b"x.rpm")
    held.site.files = {**repositories.rpm_repository(GOOD, timestamp=1_700_000_500, primary=primary), "x.rpm": b"1"}
    result = held.sync()
    assert result.error is not None
    assert result.error.code == "MetadataInvalid"


def test_two_primaries_are_both_held(held: Bench) -> None:
    """Clients may read either."""
    files = repositories.rpm_repository(GOOD, timestamp=1_700_000_500)
    other = repositories.primary_xml({"more.rpm": b"more"})
    digest = hashlib.sha256(other).hexdigest()
    second = f'<data type="primary"><checksum type="sha256">{digest}</checksum><location href="repodata/2.xml"/></data>'
    files[ROOT] = files[ROOT].replace(b"</repomd>", second.encode() + b"</repomd>")
    held.site.files = {**files, "repodata/2.xml": other, "more.rpm": b"more"}
    assert held.sync().error is None
    assert held.published()["more.rpm"] == b"more"


# DEB


def deb_refused(bench: Bench, files: dict[str, bytes], code: str, **options: object) -> None:
    bench.site.files = files
    result = bench.sync_deb(**options)  # type: ignore[arg-type]
    assert result.error is not None
    assert result.error.code == code, result.error


def test_deb_sizes_and_entries(bench: Bench) -> None:
    stanza = f"Package: x\nFilename: pool/x\nSHA256: {SHA}\n"
    for size in ("-1", "1e3", "9" * 40, "0x4", "\u0661"):
        deb_refused(bench, deb(f"{stanza}Size: {size}\n".encode()), "MetadataInvalid")
    deb_refused(bench, deb(f"{stanza}Size: 4\nSize: 5\n".encode()), "MetadataInvalid")
    deb_refused(bench, deb(f"{stanza}Size: 4\nFilename: pool/y\n".encode()), "MetadataInvalid")
    deb_refused(bench, deb(b"Package: x\nFilename: pool/x\nSize: 4\nMD5sum: 0\n"), "WeakDigest")
    deb_refused(bench, deb(b"Package: x\nDescription: " + b"x" * (5 << 20)), "MetadataTooLarge")
    deb_refused(bench, deb(b"Package: x\nFilename:" + b" " * (3 << 20) + b"x"), "WeakDigest")
    two = deb(repositories.packages_text(GOOD), listed="main/binary-amd64/Packages")
    deb_refused(bench, two, "MetadataInvalid")


def test_a_release_with_a_million_entries(bench: Bench) -> None:
    lines = b"".join(b" %064x 1 main/%x\n" % (number, number) for number in range(120_000))
    deb_refused(bench, {"dists/stable/InRelease": b"Suite: x\nSHA256:\n" + lines}, "MetadataTooLarge")
    line = b"Suite: x\nSHA256:\n" + b" %064x 1 main/x\n" % 0 * 1_000_000
    deb_refused(bench, {"dists/stable/InRelease": line}, "MetadataTooLarge")


def test_dates_of_a_release(bench: Bench) -> None:
    archive = repositories.deb_archive
    bench.site.files = archive(GOOD, date="Tue, 14 Nov 2023 22:13:20 UTC")
    now = bench.clock.now()
    for ahead, code in ((7200, "ReleaseFromFuture"), (60, "")):
        date = f"{now.timestamp() + ahead:.0f}"
        text = utils.formatdate(float(date), usegmt=True)
        bench.site.files = archive(GOOD, date=text)
        result = bench.sync_deb()
        assert (result.error.code if result.error else "") == code, (ahead, result.error)
    for date in ("never", "Tue, 99 Foo 99999999999999999999 00:00:00 UTC", "Thu, 01 Jan 2026 00:00:00 +9999999999"):
        deb_refused(bench, archive(GOOD, date=date), "MetadataInvalid")


def test_valid_until_to_the_second(bench: Bench) -> None:
    formatted = utils.formatdate
    until = bench.clock.now().timestamp() // 1 + 10
    bench.site.files = repositories.deb_archive(GOOD, fields={"Valid-Until": formatted(until, usegmt=True)})
    assert bench.sync_deb().error is None
    bench.clock.advance(9)
    assert bench.sync_deb().error is None
    bench.clock.advance(2)
    result = bench.sync_deb()
    assert result.error is not None
    assert result.error.code == "ReleaseExpired"
    assert bench.sync_deb(policy=outcome.SyncPolicy(allow_expired=True)).error is None


def test_a_flat_archive_that_lists_itself(bench: Bench) -> None:
    index = repositories.packages_text({"a.deb": b"a"})
    text = repositories.release_text({"Packages": index, "Release": b"", "InRelease": b"x"})
    bench.site.files = {"Release": text, "Packages": index, "a.deb": b"a"}
    result = bench.sync_deb(("./",), components=(), architectures=())
    assert result.error is None, result.error
    assert bench.published()["Release"] == text


# Volume


def test_links_in_a_volume_lead_nowhere(held: Bench) -> None:
    """Canaries of the test's own, where links planted in the volume point: none is written, read or removed."""
    canary = held.root.parent / "canary"
    (canary / "sub").mkdir(parents=True)
    (canary / "sub/file").write_bytes(b"keep")
    new = {**GOOD, "fresh/new.rpm": b"new" * 9}
    digest = hashlib.sha256(new["fresh/new.rpm"]).hexdigest()
    incoming = held.volume.incoming("src")
    traps = {
        incoming / f"{digest}.part": canary / "sub/file",
        held.volume.control / "incoming/src": canary / "sub",
        held.volume.pool_path("sha256", digest).parent: canary / "sub",
        held.volume.published("src") / "fresh": canary / "sub",
        held.volume.generations("src"): canary / "sub",
    }
    content = {path: path.read_bytes() for path in canary.rglob("*") if path.is_file()}
    for number, (trap, target) in enumerate(traps.items()):
        held.site.files = repositories.rpm_repository(new, timestamp=1_700_000_500 + number)
        aside = trap.with_name(trap.name + ".aside")
        if os.path.lexists(trap):
            trap.rename(aside)
        trap.parent.mkdir(parents=True, exist_ok=True)
        trap.symlink_to(target)
        held.sync()
        assert {path: path.read_bytes() for path in canary.rglob("*") if path.is_file()} == content, trap
        if trap.is_symlink():
            trap.unlink()
        if aside.exists():
            aside.rename(trap)
    assert held.sync().error is None
    assert held.published()["fresh/new.rpm"] == b"new" * 9


def test_directories_where_files_should_be(held: Bench) -> None:
    new = {**GOOD, "new.rpm": b"new" * 9}
    digest = hashlib.sha256(new["new.rpm"]).hexdigest()
    before = held.published()
    held.site.files = repositories.rpm_repository(new, timestamp=1_700_000_500)
    for place in (held.volume.incoming("src") / f"{digest}.part", held.volume.pool_path("sha256", digest)):
        (place / "x").mkdir(parents=True)
        result = held.sync()
        assert result.error is not None
        assert result.error.code == "VolumeUnusable"
        assert str(place.name)[:20] in result.error.message
        assert held.published() == before
        (place / "x").rmdir()
        place.rmdir()
    assert held.sync().error is None
    assert Path(held.volume.published("src") / "new.rpm").is_file()
