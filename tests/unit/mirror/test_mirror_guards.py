from __future__ import annotations

import errno
import gzip
from collections.abc import Callable
from pathlib import Path

import pysequoia
import pytest

from stationmaster.host import files as host_files
from stationmaster.mirror import catalog, lock, outcome, volume
from stationmaster.testing import mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories
from stationmaster.testing.simulated_upstream import Fault

Bench = mirror_bench.Bench
ROOT = "repodata/repomd.xml"
PACKAGES = {f"Packages/p{number:02}.rpm": b"%d" % number * (number + 1) for number in range(20)}
HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"


def repository(packages: dict[str, bytes] | None = None, stamp: int = 0, **options: object) -> dict[str, bytes]:
    return repositories.rpm_repository(
        PACKAGES if packages is None else packages,
        timestamp=1_700_000_000 + stamp,
        **options,  # type: ignore[arg-type]
    )


@pytest.fixture
def held(bench: Bench) -> Bench:
    """A bench that holds and shows a good generation."""
    bench.site.files = repository()
    assert bench.sync().state is outcome.State.SYNCED
    return bench


def refused(bench: Bench, code: str, *, policy: outcome.SyncPolicy | None = None) -> outcome.SyncOutcome:
    """The sync fails by this code, and what was shown before is shown still, byte for byte."""
    before, generation = bench.published(), catalog.published_generation(bench.volume, "src")
    result = bench.sync(policy=policy)
    assert result.state is outcome.State.FAILED
    assert result.error is not None
    assert result.error.code == code, result.error
    assert result.error.message
    assert bench.published() == before
    assert result.generation == generation
    return result


def primary_of(files: dict[str, bytes]) -> str:
    return next(path for path in files if "-primary.xml" in path)


def test_a_web_page_is_no_root(held: Bench) -> None:
    held.site.files[ROOT] = HTML
    result = refused(held, "HtmlInsteadOfMetadata")
    assert result.packages == len(PACKAGES)


def test_a_web_page_is_no_primary_and_no_package(held: Bench) -> None:
    new = repository({**PACKAGES, "Packages/new.rpm": b"new"}, 9)
    held.site.files = {**new, primary_of(new): HTML}
    refused(held, "HtmlInsteadOfMetadata")
    held.site.files = {**new, "Packages/new.rpm": b" \n" + HTML}
    refused(held, "HtmlInsteadOfMetadata")


def test_an_older_root_is_refused_until_allowed(held: Bench) -> None:
    held.site.files = repository(stamp=-500)
    result = refused(held, "RollbackRefused")
    assert "2023-11-14 22:05:00" in str(result.error)
    assert held.sync(policy=outcome.SyncPolicy(allow_rollback=True)).state is outcome.State.SYNCED


def test_a_root_of_the_future_does_not_shut_out_what_follows(held: Bench) -> None:
    ahead = int(held.clock.now().timestamp()) - 1_700_000_000 + 10 * 86400
    held.site.files = repository(stamp=ahead)
    assert held.sync().error is None
    held.site.files = repository({**PACKAGES, "a.rpm": b"a"}, 100)
    assert held.sync().error is None
    held.site.files = repository(stamp=50)
    refused(held, "RollbackRefused")


@pytest.mark.parametrize("left", [0, 1, 9])
def test_an_upstream_that_shrank_is_refused_until_allowed(held: Bench, left: int) -> None:
    held.site.files = repository(dict(list(PACKAGES.items())[:left]), 9)
    refused(held, "ShrunkRefused")
    assert held.sync(policy=outcome.SyncPolicy(allow_shrink=True)).packages == left


def test_losing_half_is_taken(held: Bench) -> None:
    held.site.files = repository(dict(list(PACKAGES.items())[:10]), 9)
    assert held.sync().state is outcome.State.SYNCED


@pytest.mark.parametrize(
    "path", ["../../escape.rpm", "/etc/cron.d/x", "a/../../b.rpm", ".metadata/x.rpm", "a\x01b.rpm"]
)
def test_paths_that_leave_the_tree_are_refused(held: Bench, path: str) -> None:
    plain = repositories.primary_xml({**PACKAGES, "HERE": b"x"}).replace(
        b"HERE", path.encode().replace(b"\x01", b"&#10;")
    )
    held.site.files = repository(stamp=9, primary=plain)
    refused(held, "UnsafePath")
    assert not list(held.root.parent.rglob("escape.rpm"))


def test_other_bytes_than_promised_are_refused(held: Bench) -> None:
    new = repository({**PACKAGES, "Packages/new.rpm": b"honest"}, 9)
    held.site.files = {**new, "Packages/new.rpm": b"forged"}
    result = refused(held, "DigestMismatch")
    assert "expected was" in str(result.error)
    held.site.files = {**new, "Packages/new.rpm": b"honest and more"}
    refused(held, "SizeMismatch")
    held.site.files = {**new, "Packages/new.rpm": b"hon"}
    refused(held, "SizeMismatch")
    new = repository({**PACKAGES, "Packages/new.rpm": b"honest"}, 11)
    held.site.files = {**new, primary_of(new): new[primary_of(new)] + b"\0"}
    refused(held, "SizeMismatch")


def test_entities_are_refused(held: Bench) -> None:
    plain = b'<?xml version="1.0"?><!DOCTYPE m [<!ENTITY a "&#37;">]><metadata>&a;</metadata>'
    held.site.files = repository(stamp=9, primary=plain)
    refused(held, "EntityRefused")


def test_bombs_are_refused(held: Bench) -> None:
    held.site.files = repository(stamp=9, primary=b"<metadata>" + b" " * (70 << 20))
    refused(held, "MetadataTooLarge")
    lying = repository({**PACKAGES, "z.rpm": b"z"}, 9)
    path = primary_of(lying)
    size = len(gzip.decompress(lying[path]))
    held.site.files = {**lying, ROOT: lying[ROOT].replace(b"<open-size>%d" % size, b"<open-size>%d" % (size - 1))}
    refused(held, "MetadataTooLarge")


def test_a_root_without_end_is_refused(held: Bench) -> None:
    held.site.always[ROOT] = Fault(endless=True)
    refused(held, "MetadataTooLarge")


def test_an_upstream_that_trickles_is_refused(held: Bench) -> None:
    held.site.files = repository({**PACKAGES, "Packages/new.rpm": b"x" * 4000}, 9)
    held.site.always["Packages/new.rpm"] = Fault(pause=5.0, piece=10)
    refused(held, "TooSlow")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://h/x", "", "gopher://x"])
def test_redirects_to_other_schemes_are_refused(held: Bench, target: str) -> None:
    held.site.always[ROOT] = Fault(status=302, headers={"location": target} if target else {})
    refused(held, "RedirectRefused")


def test_redirects_are_followed_but_not_in_circles(held: Bench) -> None:
    held.site.files = repository({**PACKAGES, "Packages/new.rpm": b"new"}, 9)
    held.site.files["elsewhere"] = b"new"
    held.site.strike("Packages/new.rpm", Fault(status=307, headers={"location": "/elsewhere"}))
    assert held.sync().state is outcome.State.SYNCED
    held.site.always[ROOT] = Fault(status=302, headers={"location": mirror_bench.BASE + ROOT})
    refused(held, "RedirectRefused")


@pytest.mark.parametrize("fault", [Fault(status=404), Fault(status=500), Fault(refuse=True), Fault(cut_after=3)])
def test_an_upstream_that_is_away(held: Bench, fault: Fault) -> None:
    held.site.always[ROOT] = fault
    refused(held, "UpstreamUnavailable")


def test_trouble_that_passes_is_passed(held: Bench) -> None:
    held.site.files = repository({**PACKAGES, "Packages/new.rpm": b"new" * 50}, 9)
    began = held.clock.monotonic()
    held.site.strike(ROOT, Fault(status=503, headers={"retry-after": "7"}))
    held.site.strike("Packages/new.rpm", Fault(refuse=True), Fault(cut_after=70))
    assert held.sync().state is outcome.State.SYNCED
    assert held.clock.monotonic() - began >= 7
    assert held.published()["Packages/new.rpm"] == b"new" * 50


def test_an_upstream_that_changes_once_is_followed(held: Bench) -> None:
    first, second = repository({**PACKAGES, "a.rpm": b"a"}, 5), repository({**PACKAGES, "b.rpm": b"b"}, 9)
    held.site.files = first

    def change(path: str) -> None:
        if path == "a.rpm":
            held.site.files = second

    held.site.on_request = change
    assert held.sync().state is outcome.State.SYNCED
    assert held.published()["b.rpm"] == b"b"


def test_an_upstream_that_never_rests_is_given_up(held: Bench) -> None:
    count = [0]

    def change(path: str) -> None:
        count[0] += path.startswith("n")
        if path == ROOT or path.startswith("n"):
            held.site.files = repository({**PACKAGES, f"n{count[0]}.rpm": b"n"}, 5 + count[0])

    held.site.on_request = change
    refused(held, "MetadataChanging")
    assert count[0] == 4


def test_a_package_that_is_not_there_fails_the_sync(held: Bench) -> None:
    new = repository({**PACKAGES, "gone.rpm": b"gone"}, 9)
    del new["gone.rpm"]
    held.site.files = new
    assert "gone.rpm" in str(refused(held, "UpstreamUnavailable").error)


def test_a_path_that_is_file_and_directory_is_refused(held: Bench) -> None:
    held.site.files = repository({**PACKAGES, "a": b"1", "a/b": b"2"}, 9)
    refused(held, "MetadataInvalid")


# Keys


def make_signer(days: int | None = None) -> tuple[pysequoia.Tsk, bytes]:
    secret = pysequoia.Tsk.generate("test <test@example.com>", validity_seconds=days and days * 86400)
    return secret, str(secret.extract_certificate()).encode()


def signature(cert: pysequoia.Tsk, content: bytes) -> bytes:
    return bytes(pysequoia.sign(cert.signer(), content, mode=pysequoia.SignatureMode.DETACHED))


def test_a_pinned_key_is_demanded_and_named(held: Bench) -> None:
    cert, public = make_signer()
    other, _ = make_signer()
    files = repository({**PACKAGES, "new.rpm": b"new"}, 9)

    def attempt(asc: bytes | None, root: bytes = files[ROOT]) -> outcome.SyncOutcome:
        held.site.files = {**files, ROOT: root, **({ROOT + ".asc": asc} if asc is not None else {})}
        return held.sync(keys=(public,))

    for result, code in (
        (attempt(None), "SignatureMissing"),
        (attempt(b"nonsense"), "SignatureInvalid"),
        (attempt(signature(other, files[ROOT])), "SignatureInvalid"),
        (attempt(signature(cert, files[ROOT]), files[ROOT] + b" "), "SignatureInvalid"),
    ):
        assert result.error is not None
        assert result.error.code == code
        if (
            code == "SignatureInvalid"
            and "nonsense" not in str(result.error)
            and "OpenPGP signature" not in str(result.error)
        ):
            assert cert.extract_certificate().fingerprint.upper() in str(result.error)
    assert "new.rpm" not in held.published()
    assert attempt(signature(cert, files[ROOT])).state is outcome.State.SYNCED
    assert held.published()[ROOT + ".asc"] == held.site.files[ROOT + ".asc"]


def test_a_new_signature_alone_is_a_new_generation(held: Bench) -> None:
    cert, public = make_signer()
    held.site.files[ROOT + ".asc"] = signature(cert, held.site.files[ROOT])
    assert held.sync(keys=(public,)).state is outcome.State.SYNCED
    assert ROOT + ".asc" in held.published()


def test_a_key_that_expired_since_it_signed_is_refused_unless_told_so(held: Bench) -> None:
    cert, public = make_signer(days=1000)
    held.site.files = repository({**PACKAGES, "new.rpm": b"new"}, 9)
    held.site.files[ROOT + ".asc"] = signature(cert, held.site.files[ROOT])
    held.clock.advance(5 * 366 * 86400)
    result = held.sync(keys=(public,))
    assert result.error is not None
    assert result.error.code == "KeyExpired"
    assert cert.extract_certificate().fingerprint.upper() in result.error.message
    assert "new.rpm" not in held.published()
    assert held.sync(keys=(public,), policy=outcome.SyncPolicy(allow_expired=True)).error is None
    assert "new.rpm" in held.published()


def test_one_pinned_key_that_still_holds_is_enough(held: Bench) -> None:
    cert, public = make_signer(days=1000)
    _, lasting = make_signer()
    held.site.files[ROOT + ".asc"] = signature(cert, held.site.files[ROOT])
    held.clock.advance(5 * 366 * 86400)
    assert held.sync(keys=(public, lasting)).error is None


# Volume


def test_a_volume_that_lost_its_marker_is_not_written(held: Bench) -> None:
    marker = held.volume.control / "volume.json"
    held.site.files = repository({**PACKAGES, "new.rpm": b"new"}, 9)
    content = marker.read_bytes()
    marker.unlink()
    before = sorted(held.root.rglob("*"))
    result = held.sync()
    assert result.error is not None
    assert result.error.code == "NotAVolume"
    assert sorted(held.root.rglob("*")) == before
    marker.write_bytes(content)
    assert held.sync().state is outcome.State.SYNCED


@pytest.mark.parametrize("moment", [ROOT, ROOT + ".asc", "-primary.xml", "-other.xml", "new.rpm"])
def test_an_unmounted_volume_is_not_filled_in_the_middle(held: Bench, moment: str) -> None:
    """I11: the mount goes away in the middle of a sync; the bare mount point stays bare."""
    held.site.files = repository({**PACKAGES, "new.rpm": b"new", "fresh/new.rpm": b"2"}, 9, further={"other": b"<o/>"})
    away = held.root.with_name("away")

    def unmount(path: str) -> None:
        if moment in path and not away.exists():
            held.root.rename(away)
            held.root.mkdir()

    held.site.on_request = unmount
    result = held.sync()
    assert result.state is outcome.State.FAILED
    assert list(held.root.iterdir()) == []


def test_no_directory_is_made_below_a_bare_mount_point(held: Bench) -> None:
    held.root.rename(held.root.with_name("away"))
    held.root.mkdir()
    with pytest.raises(volume.failures.NotAVolumeError, match="unmounted"):
        held.volume.make_directory(held.root / "pool" / "sha256" / "ab")
    assert list(held.root.iterdir()) == []


def test_a_data_file_that_repomd_names_must_be_there(held: Bench) -> None:
    files = repository({**PACKAGES, "new.rpm": b"new"}, 9, further={"updateinfo": b"<u/>"})
    held.site.files = {path: content for path, content in files.items() if "updateinfo" not in path}
    refused(held, "UpstreamUnavailable")


class _FullFiles(host_files.Files):
    def open_append(self, path: Path) -> object:  # type: ignore[override]
        raise OSError(errno.ENOSPC, "No space left on device", str(path))


class _SmallFiles(host_files.Files):
    def space(self, path: Path) -> host_files.Space:
        del path
        return host_files.Space(1 << 30, 64 << 20)


@pytest.mark.parametrize(("files", "code"), [(_FullFiles(), "VolumeFull"), (_SmallFiles(), "WouldNotFit")])
def test_a_full_volume_is_told(make: Callable[..., Bench], files: host_files.Files, code: str) -> None:
    bench = make(simulated_upstream.Site(repository()), files=files)
    refused(bench, code)
    assert not any("Packages" in path for path, _ in bench.site.log)


def test_a_second_writer_is_told_who_writes(held: Bench) -> None:
    held.site.files = repository({**PACKAGES, "new.rpm": b"new"}, 9)
    with lock.SourceLock(host_files.Files(), held.volume.control, "src"):
        assert "process" in str(refused(held, "SyncRunning").error)
    assert held.sync().state is outcome.State.SYNCED


def test_another_volume_or_hub_is_refused(held: Bench) -> None:
    files = host_files.Files()
    with pytest.raises(volume.failures.NotAVolumeError, match="expected was other"):
        volume.open_volume(files, held.root, expected_id="other")
    with pytest.raises(volume.failures.NotAVolumeError, match="mirror init"):
        volume.open_volume(files, held.root.parent)
    with pytest.raises(volume.failures.NotAVolumeError, match="already"):
        volume.init_volume(files, held.root, held.clock)
    with pytest.raises(volume.failures.NotAVolumeError, match="empty"):
        volume.init_volume(files, held.root.parent, held.clock)
    owned = volume.init_volume(files, held.root.parent / "owned", held.clock, hub="tenancy-a")
    assert volume.open_volume(files, owned.root, hub="tenancy-a").id == owned.id
    with pytest.raises(volume.failures.NotAVolumeError, match="tenancy-a"):
        volume.open_volume(files, owned.root, hub="tenancy-b")
