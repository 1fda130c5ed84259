"""Several base addresses: who is asked, who is put aside, and what the error says when all fail."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from stationmaster.mirror import failures, mirrors, outcome
from stationmaster.model import errors
from stationmaster.testing import mirror_bench, simulated_upstream
from stationmaster.testing import simulated_repositories as repositories

Bench = mirror_bench.Bench
Site = simulated_upstream.Site
Fault = simulated_upstream.Fault
ROOT = "repodata/repomd.xml"
B, C = "http://b.test/", "http://c.test/x/"
PACKAGES = {f"p{number}.rpm": b"%d" % number * 50 for number in range(6)}


def repository(packages: dict[str, bytes] = PACKAGES, stamp: int = 0) -> dict[str, bytes]:
    return repositories.rpm_repository(packages, timestamp=1_700_000_000 + stamp)


@dataclasses.dataclass
class Three:
    bench: Bench
    a: Site
    b: Site
    c: Site

    def sync(self, **options: object) -> outcome.SyncOutcome:
        return self.bench.sync(mirrors=(B, C), **options)  # type: ignore[arg-type]

    def asked(self, site: Site) -> list[str]:
        return [path for path, _ in site.log]


@pytest.fixture
def three(tmp_path: Path) -> Three:
    a, b, c = Site(repository()), Site(repository()), Site(repository())
    bench = mirror_bench.make_bench(tmp_path / "mirror", a, further={B: b, C: c})
    return Three(bench, a, b, c)


def error_of(result: outcome.SyncOutcome) -> errors.StationmasterError:
    assert result.error is not None
    return result.error


def test_while_the_first_address_answers_no_other_is_asked(three: Three) -> None:
    assert three.sync().state is outcome.State.SYNCED
    assert (three.b.log, three.c.log) == ([], [])
    three.a.log.clear()
    assert (three.sync().requests, three.b.log) == (2, [])


def test_a_mirror_that_is_away_is_asked_once_and_the_next_gives_all(three: Three) -> None:
    three.a.always = {path: Fault(refuse=True) for path in (*three.a.files, ROOT + ".asc")}
    assert three.sync().state is outcome.State.SYNCED
    assert three.asked(three.a) == [ROOT, ROOT]  # one retry, since another could be asked
    assert three.c.log == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=200, body=b"<!DOCTYPE html><html>Please log in</html>"),
        Fault(status=200, body=b"other bytes"),
        Fault(cut_after=3),
    ],
    ids=["500", "web page", "other bytes", "cut"],
)
def test_a_mirror_that_breaks_in_the_middle_is_put_aside(three: Three, fault: Fault) -> None:
    for number in range(2, 6):
        three.a.always[f"p{number}.rpm"] = fault
    assert three.sync().state is outcome.State.SYNCED
    assert {**three.bench.published(), **PACKAGES} == three.bench.published()
    assert {path for path in three.asked(three.a) if path in three.a.always} == {"p2.rpm"}
    assert three.c.log == []


def test_a_mirror_that_lacks_files_is_put_aside_after_the_third(three: Three) -> None:
    for path in PACKAGES:
        del three.a.files[path]
    assert three.sync().state is outcome.State.SYNCED
    assert [path for path in three.asked(three.a) if path in PACKAGES] == ["p0.rpm", "p1.rpm", "p2.rpm"]


def test_two_mirrors_with_a_broken_file_each_make_a_whole(three: Three) -> None:
    three.a.files["p0.rpm"] = three.b.files["p1.rpm"] = b"rotten"
    three.c.always = dict.fromkeys((*three.c.files, ROOT + ".asc"), Fault(refuse=True))
    assert three.sync().state is outcome.State.SYNCED
    assert {**three.bench.published(), **PACKAGES} == three.bench.published()


def test_a_mirror_that_lags_behind_is_passed_over(three: Three) -> None:
    for site in (three.a, three.c):
        site.files = repository({**PACKAGES, "new.rpm": b"n"}, 50)
    three.sync()
    generation = three.sync().generation
    three.a.files = repository(stamp=10)  # older than what is held
    result = three.sync()
    assert (result.state, result.generation) == (outcome.State.UNCHANGED, generation)
    assert three.asked(three.c)[:1] == [ROOT]


def test_when_all_lag_behind_it_is_a_rollback_that_names_each(three: Three) -> None:
    for site in (three.a, three.b, three.c):
        site.files = repository({**PACKAGES, "new.rpm": b"n"}, 50)
    three.sync()
    for site in (three.a, three.b, three.c):
        site.files = repository(stamp=10)
    error = error_of(three.sync())
    assert error.code == "RollbackRefused"
    assert "None of 3 addresses" in error.message
    assert "(3)" in error.message


def test_the_error_of_all_names_each_address(three: Three) -> None:
    three.a.always["p3.rpm"] = Fault(status=503)
    three.b.files["p3.rpm"] = b"other"
    del three.c.files["p3.rpm"]
    error = error_of(three.sync())
    assert error.code == "SizeMismatch"
    for word in (mirror_bench.BASE + "p3.rpm", B + "p3.rpm", C + "p3.rpm", "503", "404"):
        assert word in error.message


def test_a_holder_of_another_generation_is_passed_over(three: Three) -> None:
    """Copying from several peers: the one that moved on is no reason to fail."""
    wanted = three.sync().generation
    bench = mirror_bench.make_bench(three.bench.root.parent / "other", three.a, further={B: three.b})
    three.a.files = repository({"x.rpm": b"x"}, 99)
    result = bench.sync(mirrors=(B,), expected_generation=wanted)
    assert (result.state, result.generation) == (outcome.State.SYNCED, wanted)
    none = bench.sync("second", mirrors=(B,), expected_generation="0" * 32)
    assert error_of(none).code == "OtherGeneration"


def test_a_partial_download_is_resumed_at_the_next_mirror(three: Three) -> None:
    content = bytes(range(256)) * 4096
    for site in (three.a, three.b, three.c):
        site.files = repository({"big.rpm": content})
    three.a.always["big.rpm"] = Fault(cut_after=300_000)
    assert three.sync().state is outcome.State.SYNCED
    assert ("big.rpm", 206) in three.b.log
    assert three.bench.published()["big.rpm"] == content


def test_a_no_op_after_fail_over_is_conditional_at_the_address_that_answered(three: Three) -> None:
    three.a.always = dict.fromkeys((*three.a.files, ROOT + ".asc"), Fault(status=404))
    three.sync()
    three.b.log.clear()
    assert three.sync().state is outcome.State.UNCHANGED
    assert three.b.log == [(ROOT, 304), (ROOT + ".asc", 404)]


def test_a_deb_archive_has_mirrors_too(tmp_path: Path) -> None:
    debs = {"pool/a.deb": b"a", "pool/b.deb": b"b"}
    a, b = Site(repositories.deb_archive(debs)), Site(repositories.deb_archive(debs))
    bench = mirror_bench.make_bench(tmp_path / "mirror", a, further={B: b})
    a.always["pool/a.deb"] = Fault(status=500)
    assert bench.sync_deb(mirrors=(B,)).state is outcome.State.SYNCED
    assert [path for path, _ in b.log if path.startswith("pool/")] == ["pool/a.deb", "pool/b.deb"]
    assert {status for path, status in b.log if path.startswith("dists/")} == {404}  # listed, and nobody has it


def test_a_dead_mirror_is_not_asked_for_each_file_that_nobody_has(tmp_path: Path) -> None:
    """DEB archives list many files that they do not have; each would cost a time-out."""
    debs = {"pool/a.deb": b"a"}
    a, b = Site(), Site(repositories.deb_archive(debs, suffixes=[".gz"]))
    a.always = dict.fromkeys(["dists/stable/InRelease"], Fault(refuse=True))
    bench = mirror_bench.make_bench(tmp_path / "mirror", a, further={B: b})
    assert bench.sync_deb(mirrors=(B,)).state is outcome.State.SYNCED
    assert {path for path, _ in a.log} == {"dists/stable/InRelease"}


def test_the_only_address_is_never_put_aside() -> None:
    one = mirrors.Mirrors(["http://a/", "http://a/"])
    one.put_aside("http://a/", failures.TooSlowError("slow"))
    assert one.in_order() == (("http://a/",), ())


def test_hurry_while_others_are_left() -> None:
    two = mirrors.Mirrors(["http://a/", "http://b/"])
    seen: list[tuple[str, bool]] = []

    def ask(base: str, is_hurried: bool) -> str:
        seen.append((base, is_hurried))
        raise failures.UnavailableError(f"{base} is away")

    for _ in range(2):
        with pytest.raises(failures.UnavailableError, match=r"None of 2 .*a/ is away.*b/ is away"):
            two.first(ask)
    assert seen[:2] == [("http://a/", True), ("http://b/", False)]
    two.forgive()
    assert two.in_order()[1] == ()
