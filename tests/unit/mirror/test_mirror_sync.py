from __future__ import annotations

import datetime
import threading
from collections.abc import Callable

import pytest

from stationmaster.host import files as host_files
from stationmaster.mirror import catalog, fileref, inspection, outcome, retention, source
from stationmaster.testing import crashing_files, mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories

Bench = mirror_bench.Bench
Make = Callable[..., Bench]
ROOT = "repodata/repomd.xml"
ODD = {"p/gtk+~1^2.rpm": b"g", "p/a b ü%.rpm": b"u", "p/lib%2Bx.rpm": b"l", "top.rpm": b"t"}


def repository(packages: dict[str, bytes], stamp: int = 0, **options: object) -> dict[str, bytes]:
    return repositories.rpm_repository(packages, timestamp=1_700_000_000 + stamp, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", list(repositories.PACK))
def test_rpm_is_mirrored_byte_for_byte(bench: Bench, suffix: str) -> None:
    bench.site.files = repository(ODD, suffix=suffix, further={"modules": b"m: 1", "unheard_of": b"?"})
    result = bench.sync()
    assert (result.state, result.packages, result.error) == (outcome.State.SYNCED, 4, None)
    assert {**bench.published(), **bench.site.files} == bench.published()
    assert set(bench.published()) - set(bench.site.files) == {"p/lib+x.rpm"}
    assert inspection.verify(bench.volume, bench.clock).is_whole


@pytest.mark.parametrize("algorithm", ["sha1", "sha384", "sha512"])
def test_other_checksums_reach_the_pool_too(bench: Bench, algorithm: str) -> None:
    bench.site.files = repository(ODD, algorithm=algorithm)
    result = bench.sync()
    assert result.state is outcome.State.SYNCED
    assert bool(result.warnings) == (algorithm == "sha1")
    bench.site.files = repository({**ODD, "new.rpm": b"n"}, 5, algorithm=algorithm)
    assert bench.sync().state is outcome.State.SYNCED
    asked = [path for path, _ in bench.site.log]
    assert asked.count("top.rpm") == 1
    assert inspection.verify(bench.volume, bench.clock).is_whole


def test_a_no_op_asks_for_the_root_alone(bench: Bench) -> None:
    bench.site.files = repository(ODD)
    bench.sync()
    bench.site.log.clear()
    result = bench.sync()
    assert (result.state, result.requests, result.bytes_downloaded) == (outcome.State.UNCHANGED, 2, 0)
    assert bench.site.log == [(ROOT, 304), (ROOT + ".asc", 404)]


def test_a_root_that_is_seconds_old_is_not_asked_for_conditionally(bench: Bench) -> None:
    """It may change again within the same second, with the same size: same ETag (RFC 9110 section 8.8.2.2)."""
    assert simulated_upstream.Site().has_validators
    from stationmaster.mirror import upstream

    date = "Tue, 14 Nov 2023 22:13:20 GMT"
    later = "Tue, 14 Nov 2023 22:13:23 GMT"
    assert upstream.strong_validator({"etag": '"x"', "last-modified": date, "date": date}) is None
    assert upstream.strong_validator({"etag": '"x"', "last-modified": date, "date": later}) is not None
    assert upstream.strong_validator({"etag": 'W/"x"'}) is None
    assert bench.volume.id


def test_a_damaged_generation_is_noticed_by_its_missing_root(bench: Bench) -> None:
    bench.site.files = repository(ODD)
    generation = bench.sync().generation
    assert generation is not None
    (bench.volume.tree("src", generation) / ROOT).unlink()
    assert bench.sync().state is outcome.State.SYNCED
    assert bench.published()[ROOT] == bench.site.files[ROOT]


def test_a_lost_switch_is_made_again_without_download(bench: Bench) -> None:
    bench.site.files = repository(ODD)
    bench.sync()
    bench.volume.published("src").unlink()
    bench.site.log.clear()
    assert bench.sync().state is outcome.State.SYNCED
    assert {path for path, _ in bench.site.log} == {ROOT, ROOT + ".asc"}
    assert {**bench.published(), **bench.site.files} == bench.published()


def test_an_incremental_sync_costs_what_changed(make: Make) -> None:
    packages = {f"p/{number:04}.rpm": b"%d" % number for number in range(300)}
    site = simulated_upstream.Site(repository(packages))
    make(site).sync()
    changed = {path: content for path, content in packages.items() if path > "p/0002.rpm"} | {"p/new.rpm": b"n"}
    site.files = repository(changed, 5)
    site.log.clear()
    counting = crashing_files.CrashingFiles()
    result = make(site, files=counting).sync()
    assert result.state is outcome.State.SYNCED
    assert [path for path, _ in site.log if path.startswith("p/")] == ["p/new.rpm"]
    assert counting.count < 60  # links and renames for the change, not for 300 packages


def test_equal_content_is_fetched_once_over_all_sources(bench: Bench) -> None:
    bench.site.files = repository({"a.rpm": b"same", "b.rpm": b"same"})
    bench.sync("one")
    bench.sync("two")
    asked = [path for path, _ in bench.site.log if path.endswith(".rpm")]
    assert len(asked) == 1
    found = catalog.list_generations(bench.volume, "one")[0]
    assert (found.packages, found.unique_packages) == (2, 1)
    assert catalog.list_sources(bench.volume) == ("one", "two")


def test_times_are_equal_on_all_volumes_and_differ_with_the_bytes(make: Make) -> None:
    """nginx makes the ETag of time and size; a resume crosses stations."""
    site = simulated_upstream.Site(repository(ODD))
    late = make(site, "late")
    early = make(site, "early")
    early.sync()
    site.files = repository({**ODD, "top.rpm": b"T"}, 77)
    early.sync()
    late.sync()

    def times(bench: Bench) -> dict[str, int]:
        base = bench.volume.published("src")
        return {path: int((base / path).stat().st_mtime) for path in bench.published()}

    assert times(late).items() <= times(early).items()  # what the early one carries along, the late one never had
    assert times(early)[ROOT] == 1_700_000_077
    assert fileref.package_mtime(fileref.digest_of(early.volume.published("src") / "top.rpm")) == times(late)["top.rpm"]


def test_manifests_are_equal_on_all_volumes(make: Make) -> None:
    site = simulated_upstream.Site(repository(ODD))
    one, two = make(site, "one"), make(site, "two")
    generation = one.sync().generation
    assert two.sync().generation == generation
    assert generation is not None
    manifests = [bench.volume.manifest("src", generation).read_bytes() for bench in (one, two)]
    assert manifests[0] == manifests[1]


def test_a_follower_takes_only_the_generation_it_was_told(bench: Bench) -> None:
    bench.site.files = repository(ODD)
    result = bench.sync(expected_generation="0" * 32)
    assert result.error is not None
    assert result.error.code == "OtherGeneration"
    generation = bench.sync().generation
    bench.site.log.clear()
    assert bench.sync(expected_generation=generation).requests == 0
    assert bench.site.log == []


def test_a_stop_ends_the_sync_and_the_next_run_resumes(bench: Bench) -> None:
    bench.site.files = repository(ODD)
    stop = threading.Event()
    wanted = source.RpmSource("src", mirror_bench.BASE)

    def listen(progress: outcome.Progress) -> None:
        if progress.phase is outcome.Phase.PACKAGES and progress.files_done == 2:
            stop.set()

    result = bench.engine.sync(bench.volume, wanted, progress=listen, stop=stop)
    assert result.error is not None
    assert result.error.code == "Stopped"
    assert bench.published() == {}
    bench.site.log.clear()
    assert bench.sync().state is outcome.State.SYNCED
    assert {path for path, status in bench.site.log if path.endswith(".rpm") and status == 200} == {
        "p/lib%2Bx.rpm",
        "top.rpm",
    }


# DEB

DEBS = {"pool/main/a/a_1%3a2+x~1_all.deb": b"a" * 50, "pool/main/b/b_1_amd64.deb": b"b"}


def test_deb_is_mirrored_byte_for_byte(bench: Bench) -> None:
    bench.site.files = repositories.deb_archive(DEBS)
    result = bench.sync_deb()
    assert (result.state, result.packages, result.error) == (outcome.State.SYNCED, 2, None)
    shown = bench.published()
    assert {**shown, **bench.site.files} == shown
    digests = [path for path in shown if "by-hash/SHA256" in path]
    assert len(digests) == 2
    assert all(fileref.digest_of(bench.volume.published("src") / path) == path.rpartition("/")[2] for path in digests)
    bench.site.log.clear()
    assert (bench.sync_deb().state, len(bench.site.log)) == (outcome.State.UNCHANGED, 1)


@pytest.mark.parametrize("suffix", [".xz", ".gz", ".zst", ".bz2", ""])
def test_one_compression_of_an_index_is_enough(bench: Bench, suffix: str) -> None:
    bench.site.files = repositories.deb_archive(DEBS, suffixes=[suffix])
    assert bench.sync_deb().packages == 2


def test_an_index_that_is_listed_and_nowhere_there_fails(bench: Bench) -> None:
    files = repositories.deb_archive(DEBS)
    bench.site.files = {path: content for path, content in files.items() if "Packages" not in path}
    result = bench.sync_deb()
    assert result.error is not None
    assert result.error.code == "UpstreamUnavailable"
    assert "main/binary-amd64/Packages" in result.error.message


def test_by_hash_is_asked_first(bench: Bench) -> None:
    """The plain names carry a newer state already; by hash the old one is still whole."""
    files = repositories.deb_archive(DEBS)
    index = "dists/stable/main/binary-amd64/Packages"
    for suffix in (".gz", ".xz"):
        import hashlib

        digest = hashlib.sha256(files[index + suffix]).hexdigest()
        files[f"dists/stable/main/binary-amd64/by-hash/SHA256/{digest}"] = files[index + suffix]
        files[index + suffix] = b"newer"
    bench.site.files = files
    assert bench.sync_deb().packages == 2


def test_suites_of_a_source_share_packages_and_one_generation(bench: Bench) -> None:
    more = {**DEBS, "pool/main/c/c_1_all.deb": b"c"}
    bench.site.files = repositories.deb_archive(DEBS) | repositories.deb_archive(more, suite="stable/updates")
    result = bench.sync_deb(("stable", "stable/updates"))
    assert (result.state, result.packages) == (outcome.State.SYNCED, 3)
    shown = bench.published()
    assert {**shown, **bench.site.files} == shown
    assert len(catalog.list_generations(bench.volume, "src")) == 1


@pytest.mark.parametrize("suite", ["./", "sub/", "a/b/"])
def test_flat_repositories(bench: Bench, suite: str) -> None:
    base = "" if suite == "./" else suite
    debs = {f"{base}x_1_all.deb": b"x", "elsewhere/y_1_all.deb": b"y"}
    index = repositories.packages_text(debs).replace(b"Filename: x", b"Filename: ./x")
    release = repositories.release_text({"Packages": index})
    bench.site.files = debs | {f"{base}Packages": index, f"{base}Release": release}
    result = bench.sync_deb((suite,), components=(), architectures=())
    assert (result.state, result.packages, result.error) == (outcome.State.SYNCED, 2, None)
    assert bench.published() == bench.site.files
    assert bench.sync_deb((suite,), components=(), architectures=()).requests == 2


def test_an_expired_release_is_refused_until_allowed(bench: Bench) -> None:
    bench.site.files = repositories.deb_archive(DEBS, fields={"Valid-Until": "Tue, 21 Nov 2023 22:13:20 UTC"})
    result = bench.sync_deb()
    assert result.error is not None
    assert result.error.code == "ReleaseExpired"
    assert bench.sync_deb(policy=outcome.SyncPolicy(allow_expired=True)).state is outcome.State.SYNCED


def test_another_selection_of_the_same_root_is_another_generation(bench: Bench) -> None:
    bench.site.files = repositories.deb_archive(DEBS)
    first = bench.sync_deb()
    second = bench.sync_deb(architectures=("amd64", "all"))
    assert second.state is outcome.State.SYNCED
    assert first.generation != second.generation


# Retention


def test_cleaning_keeps_what_is_needed_and_says_why(bench: Bench) -> None:
    generations = []
    for number in range(4):
        bench.site.files = repository({"keep.rpm": b"k", f"v{number}.rpm": b"%d" % number}, number)
        generations.append(bench.sync().generation)
        bench.clock.advance(2 * 86400)
    dry = list(retention.Cleaner(host_files.Files(), bench.volume, bench.clock, is_dry=True).clean())
    assert len(catalog.list_generations(bench.volume, "src")) == 4
    done = list(retention.Cleaner(host_files.Files(), bench.volume, bench.clock).clean())
    assert done == dry
    removed = {one.what for one in done if one.is_removed}
    assert {f"generation src/{generations[number]}" for number in (0, 1)} <= removed
    assert len([what for what in removed if what.startswith("content")]) == 2
    assert [held.generation for held in catalog.list_generations(bench.volume, "src")] == generations[2:]
    further = set(bench.published()) - set(bench.site.files)
    assert {path for path in further if path.endswith(".rpm")} == {"v2.rpm"}
    assert len(further) == 2  # and its primary
    assert inspection.verify(bench.volume, bench.clock).is_whole
    assert bench.sync().state is outcome.State.UNCHANGED


def test_the_newest_stays_however_old(bench: Bench) -> None:
    bench.site.files = repository(ODD)
    bench.sync()
    bench.clock.advance(400 * 86400)
    done = list(retention.Cleaner(host_files.Files(), bench.volume, bench.clock).clean())
    assert [one for one in done if one.is_removed] == []


def test_the_verdict_counts_from_when_a_generation_was_superseded() -> None:
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    held = tuple(
        catalog.HeldGeneration("s", name, "rpm", 1, 1, 1, start, start + datetime.timedelta(days=day))
        for name, day in (("a", 0), ("b", 10), ("c", 11), ("d", 12))
    )
    policy = retention.RetentionPolicy()
    now = start + datetime.timedelta(days=13, hours=1)
    judged = retention.judge_generations(held, frozenset(), now, policy)
    assert {name: kept for name, (kept, _) in judged.items()} == {"a": False, "b": True, "c": True, "d": True}
    later = now + datetime.timedelta(days=30)
    judged = retention.judge_generations(held, frozenset({"a"}), later, policy)
    assert {name: kept for name, (kept, _) in judged.items()} == {"a": True, "b": False, "c": True, "d": True}


def test_no_setting_drops_the_newest() -> None:
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    held = (catalog.HeldGeneration("s", "a", "rpm", 1, 1, 1, start, start),)
    policy = retention.RetentionPolicy(generations=0, age=datetime.timedelta(0))
    judged = retention.judge_generations(held, frozenset(), start + datetime.timedelta(days=99), policy)
    assert judged["a"][0]


def test_damage_is_found_and_named(bench: Bench) -> None:
    bench.site.files = repository(ODD)
    generation = bench.sync().generation
    site = bench.volume.published("src")
    (site / "top.rpm").write_bytes(b"X")
    (site / "p" / "gtk+~1^2.rpm").unlink()
    found = {one.path: one.problem for one in inspection.verify(bench.volume, bench.clock).findings}
    assert found == {"top.rpm": inspection.Problem.DIGEST, "p/gtk+~1^2.rpm": inspection.Problem.MISSING}
    assert generation is not None
    assert not catalog.is_held_whole(bench.volume, "src", generation)
