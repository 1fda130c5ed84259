"""Generated sources on a volume: what is served, equal bytes everywhere, whole after any kill, kept by retention."""

from __future__ import annotations

import datetime
import gzip
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pysequoia
import pytest

from stationmaster.host import files as host_files
from stationmaster.mirror import catalog, inspection, outcome, retention
from stationmaster.mirror.generate import filters, generator, listing, recipe, secretkey, signing
from stationmaster.testing import crashing_files, mirror_bench, simulated_upstream
from stationmaster.testing import generated_repositories as made
from stationmaster.testing import simulated_repositories as repositories

Make = Callable[..., mirror_bench.Bench]

BASH = [made.Rpm("bash", "5.1"), made.Rpm("bash", "5.2")]
KERNEL = made.Rpm("kernel", "6.1")
DB = [made.Rpm("db", "1", "1.m1"), made.Rpm("dblib", "1", "1.m1"), made.Rpm("db", "2", "1.m2")]
ALL = [*BASH, KERNEL, *DB]


def upstream(packages: list[made.Rpm] = ALL, stamp: int = 0, **further: bytes) -> dict[str, bytes]:
    return made.repository(
        packages,
        streams=[made.Stream("db", "1", DB[:2]), made.Stream("db", "2", DB[2:])],
        defaults={"db": "2"},
        groups={"shells": ["bash"], "kernels": ["kernel", "bash"]},
        advisories={"ADV-1": BASH, "ADV-2": [KERNEL]},
        further=further,
        timestamp=1_700_000_000 + stamp,
    )


@pytest.fixture(scope="module")
def key() -> bytes:
    return str(pysequoia.Tsk.generate("t <t@example.com>", profile=pysequoia.Profile.RFC4880)).encode()


@pytest.fixture(scope="module")
def signer(key: bytes) -> signing.Signer:
    return signing.Signer(secretkey.load_secret_key(key))


def wanted(name: str = "new", *inputs: str, **choice: object) -> recipe.Recipe:
    further = {word: choice.pop(word) for word in ("frozen", "chosen_at", "allow_empty") if word in choice}
    for word in ("include", "exclude"):
        choice[word] = tuple(filters.parse_filter(text) for text in choice.get(word, ()))  # type: ignore[attr-defined]
    found = tuple(recipe.parse_input(text) for text in inputs or ("src",))
    return recipe.Recipe(name=name, inputs=found, choice=recipe.Choice(**choice), **further)  # type: ignore[arg-type]


def generate(
    bench: mirror_bench.Bench, signer: signing.Signer, order: recipe.Recipe | None = None, *, alone: bool = True
) -> outcome.SyncOutcome:
    maker = generator.Generator(bench.volume.files, bench.clock)
    return maker.generate(bench.volume, order or wanted(include=["bash", "module:db:1"]), signer, publish_alone=alone)


def text_of(shown: Mapping[str, bytes], kind: str) -> str:
    root = shown["repodata/repomd.xml"].decode()  # beside it lies what a former generation's clients still want
    (path,) = [path for path in shown if path.startswith("repodata/") and kind in path and path in root]
    return (gzip.decompress(shown[path]) if path.endswith(".gz") else shown[path]).decode()


def test_what_is_served_follows_the_choice(make: Make, signer: signing.Signer) -> None:
    bench = make(simulated_upstream.Site(upstream(odd=b"<odd/>", productid=b"certificate")))
    bench.sync()
    result = generate(bench, signer)
    assert (result.state, result.packages, result.error) == (outcome.State.SYNCED, 4, None)
    assert result.warnings == ("Data of the type odd is left out: it may tell of packages that are not kept.",)
    shown = bench.published("new")
    kept = [*BASH, *DB[:2]]
    assert {path: shown[path] for path in shown if not path.startswith("repodata/")} == {
        one.location: one.bytes for one in kept
    }
    for kind in ("primary", "filelists", "other"):
        text = text_of(shown, kind)
        assert 'packages="4"' in text
        assert [one.digest in text for one in ALL] == [one in kept for one in ALL]
    whole = made.primary_xml(ALL).decode()
    for one in kept:  # each element is upstream's own
        (part,) = [part for part in whole.split("</package>") if one.digest in part]
        assert part.partition("<package")[2] in text_of(shown, "primary")
    modules = text_of(shown, "modules")
    assert "stream: 1\n" in modules
    assert DB[2].nevra not in modules
    assert "module: db" not in modules or "stream: 2" not in modules
    groups = text_of(shown, "comps")
    assert "kernel</packagereq>" not in groups
    assert groups.count("bash</packagereq>") == 2
    assert "ADV-2" not in text_of(shown, "updateinfo")
    assert text_of(shown, "productid") == "certificate"
    assert inspection.verify(bench.volume, bench.clock).is_whole
    assert (bench.volume.published("new") / kept[0].location).samefile(bench.volume.published("src") / kept[0].location)


def test_the_root_is_signed_and_dated_by_its_input(make: Make, signer: signing.Signer) -> None:
    bench = make(simulated_upstream.Site(upstream()))
    bench.sync()
    generate(bench, signer)
    shown = bench.published("new")
    store = lambda _: [pysequoia.Cert.from_bytes(shown["repodata/repomd.xml.key"])]  # noqa: E731
    signature = pysequoia.Sig.from_bytes(shown["repodata/repomd.xml.asc"])
    assert pysequoia.verify(bytes=shown["repodata/repomd.xml"], store=store, signature=signature).valid_sigs
    assert b"<revision>1700000000</revision>" in shown["repodata/repomd.xml"]
    assert (bench.volume.published("new") / "repodata/repomd.xml").stat().st_mtime == 1_700_000_000


def test_equal_inputs_make_equal_bytes_on_every_volume(make: Make, key: bytes) -> None:
    found = []
    for name, before in (("one", ()), ("two", ("zzz", "aaa"))):
        bench = make(simulated_upstream.Site(upstream()), name)
        for other in before:
            bench.sync(other)
        bench.sync()
        fresh = signing.Signer(secretkey.load_secret_key(key))
        result = generate(bench, fresh)
        assert result.generation is not None
        times = {path: (bench.volume.published("new") / path).stat().st_mtime_ns for path in bench.published("new")}
        manifest = bench.volume.manifest("new", result.generation).read_bytes()
        found.append((result.generation, bench.published("new"), times, manifest))
        bench.clock.advance(5000)
    assert found[0] == found[1]


def test_a_mirror_of_it_is_the_same_generation(make: Make, signer: signing.Signer) -> None:
    bench = make(simulated_upstream.Site(upstream()))
    bench.sync()
    result = generate(bench, signer)
    copy = make(simulated_upstream.Site(bench.published("new")), "copy")
    copied = copy.sync("new", keys=(signer.certificate,), expected_generation=result.generation)
    assert (copied.state, copied.generation) == (outcome.State.SYNCED, result.generation)
    assert result.generation is not None
    manifests = [one.volume.manifest("new", result.generation).read_bytes() for one in (bench, copy)]
    assert manifests[0] == manifests[1]


def test_unchanged_then_new_and_dates_that_rise(make: Make, signer: signing.Signer) -> None:
    bench = make(simulated_upstream.Site(upstream()))
    bench.sync()
    first = generate(bench, signer)
    assert generate(bench, signer).state is outcome.State.UNCHANGED
    other = generate(bench, signer, wanted(include=["bash"]))
    assert (other.state, other.packages) == (outcome.State.SYNCED, 2)
    bench.site.files = upstream([*ALL, made.Rpm("bash", "5.3")], 50)
    bench.sync()
    third = generate(bench, signer, wanted(include=["bash"]))
    assert third.packages == 3
    times = [one.root_time.timestamp() - 1_700_000_000 for one in catalog.list_generations(bench.volume, "new")]
    assert times == [0, 1, 50]
    back = generate(bench, signer, wanted("new", f"src@{_first(bench)}", include=["bash", "module:db:1"]))
    assert back.generation != first.generation
    assert bench.published("new")["repodata/repomd.xml"].count(b"<revision>1700000051</revision>") == 1


def _first(bench: mirror_bench.Bench) -> str:
    return catalog.list_generations(bench.volume, "src")[0].generation


def test_the_moment_of_the_choice_may_date_it(make: Make, signer: signing.Signer) -> None:
    bench = make(simulated_upstream.Site(upstream()))
    bench.sync()
    generate(bench, signer, wanted(chosen_at=1_700_000_777))
    assert catalog.list_generations(bench.volume, "new")[0].root_time.timestamp() == 1_700_000_777
    assert generate(bench, signer, wanted(chosen_at=1_700_000_888)).state is outcome.State.UNCHANGED


def test_a_frozen_version_stays(make: Make, signer: signing.Signer) -> None:
    bench = make(simulated_upstream.Site(upstream()))
    bench.sync()
    first = generate(bench, signer, wanted(frozen="1"))
    shown = bench.published("new")
    bench.site.files = upstream([KERNEL], 50)
    bench.sync(policy=outcome.SyncPolicy(allow_shrink=True))
    again = generate(bench, signer, wanted(frozen="1"))
    assert (again.state, again.generation) == (outcome.State.UNCHANGED, first.generation)
    other = wanted("new", "src", "other", frozen="1")
    for order in (wanted(frozen="2"), wanted(), wanted(frozen="1", include=["bash"]), other):
        refused = generate(bench, signer, order)
        assert refused.error is not None
        assert refused.error.code == "VersionFrozen"
    bench.clock.advance(datetime.timedelta(days=30).total_seconds())
    bench.site.files = upstream([KERNEL], 60)
    bench.sync()
    list(retention.Cleaner(bench.volume.files, bench.volume, bench.clock).clean())
    assert bench.published("new") == shown
    assert inspection.verify(bench.volume, bench.clock).is_whole


@pytest.mark.parametrize(("is_first", "is_frozen"), [(True, True), (False, False)], ids=["first", "second"])
def test_every_prefix_of_its_effects_is_safe(
    make: Make, signer: signing.Signer, tmp_path: Path, *, is_first: bool, is_frozen: bool
) -> None:
    start = make(simulated_upstream.Site(upstream()), "start")
    start.sync()
    former = {}
    if not is_first:
        generate(start, signer, wanted(include=["kernel"]))
        former = start.published("new")
    order = wanted(include=["bash", "module:db:1"], frozen="1" if is_frozen else "")

    def copy(name: str, files: crashing_files.CrashingFiles) -> mirror_bench.Bench:
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        shutil.copytree(tmp_path / "start", tmp_path / name, symlinks=True)
        return make(start.site, name, files=files)

    counting = crashing_files.CrashingFiles()
    whole = copy("whole", counting)
    assert generate(whole, signer, order).state is outcome.State.SYNCED
    target = whole.published("new")
    assert counting.count > 20
    for effects in range(counting.count):
        bench = copy("crash", crashing_files.CrashingFiles(effects))
        with pytest.raises(crashing_files.CrashError):
            generate(bench, signer, order)
        shown = bench.published("new")
        root = shown.get("repodata/repomd.xml")
        meant = [one for one in (former, target) if one.get("repodata/repomd.xml") == root]
        assert root is None or {**shown, **meant[0]} == shown, effects
        shutil.rmtree(bench.volume.control / "locks")  # what the death of the process does
        (bench.volume.control / "locks").mkdir()
        again = make(start.site, "crash")
        result = generate(again, signer, order)
        assert result.error is None, (effects, result)
        assert {**again.published("new"), **target} == again.published("new"), effects
        assert generate(again, signer, order).state is outcome.State.UNCHANGED
        assert inspection.verify(again.volume, again.clock).is_whole


def test_two_inputs_with_one_path_and_a_foreign_base(make: Make, signer: signing.Signer) -> None:
    bench = make(simulated_upstream.Site(upstream()))
    bench.sync()
    clash = made.Rpm("zsh", path=BASH[0].location, content=b"other bytes")
    away = made.Rpm("tool", base=mirror_bench.BASE)
    bench.site.files = made.repository([clash, away, KERNEL])
    bench.sync("b")
    result = generate(bench, signer, wanted("new", "src", "b"))
    assert (result.error, result.packages) == (None, 8)
    shown = bench.published("new")
    assert shown[BASH[0].location] == BASH[0].bytes
    assert shown["from/b/" + clash.location] == b"other bytes"
    assert shown[away.location] == away.bytes
    primary = text_of(shown, "primary")
    assert "xml:base" not in primary
    assert f'<location href="from/b/{clash.location}"/>' in primary
    assert primary.count(KERNEL.digest) == 1


def test_other_digests_and_packed_groups(make: Make, signer: signing.Signer) -> None:
    packages = {"a.rpm": b"a", "b.rpm": b"b"}
    primary = repositories.primary_xml(packages, "sha512").replace(b"<name>", b"<arch>noarch</arch><name>")
    further = {"group_gz": made.comps_xml({"g": ["p0", "p1"]})}
    bench = make(simulated_upstream.Site(repositories.rpm_repository(packages, primary=primary, further=further)))
    assert bench.sync().error is None
    assert generate(bench, signer, wanted(include=["p0"])).error is None
    assert "p1" not in text_of(bench.published("new"), "comps")
    assert "a.rpm" in bench.published("new")


def test_a_station_holds_it_without_showing_it(make: Make, signer: signing.Signer) -> None:
    bench = make(simulated_upstream.Site(upstream()))
    bench.sync(publish_alone=False)
    result = generate(bench, signer, alone=False)
    assert result.generation is not None
    assert catalog.is_held_whole(bench.volume, "new", result.generation)
    assert "repodata/repomd.xml" not in bench.published("new")
    assert generate(bench, signer, alone=False).state is outcome.State.UNCHANGED


def test_refusals_keep_what_is_served(make: Make, signer: signing.Signer) -> None:
    bench = make(simulated_upstream.Site(upstream()))
    bench.sync()
    generate(bench, signer)
    shown = bench.published("new")
    for order, code in (
        (wanted(include=["absent"]), "NothingSelected"),
        (wanted("new", "absent"), "InputMissing"),
        (wanted("new", "src@" + 32 * "0"), "InputMissing"),
        (wanted(manifest=(("x-0:1-1.noarch", "sha256:" + 64 * "0"),)), "ManifestIncomplete"),
        (wanted("src", "new"), "Conflict"),
    ):
        result = generate(bench, signer, order)
        assert result.error is not None, order
        assert (result.state, result.error.code) == (outcome.State.FAILED, code)
    bench.volume.pool_path("sha256", KERNEL.digest).unlink()
    missing = generate(bench, signer, wanted(include=["kernel"]))
    assert missing.error is not None
    assert (missing.error.code, KERNEL.location in str(missing.error)) == ("UpstreamUnavailable", True)
    assert bench.published("new") == shown


def test_modules_that_cannot_be_read_stop_it(make: Make, signer: signing.Signer) -> None:
    bench = make(simulated_upstream.Site(made.repository([KERNEL], further={"modules": b"---\na: [\n..."})))
    bench.sync()
    result = generate(bench, signer, wanted())
    assert result.error is not None
    assert result.error.code == "MetadataInvalid"


def test_what_a_source_holds_makes_the_same_again(make: Make, signer: signing.Signer) -> None:
    bench = make(simulated_upstream.Site(upstream()))
    bench.sync()
    first = generate(bench, signer)
    lines = listing.manifest_lines(bench.volume, recipe.parse_input("new"))
    assert len(lines) == 4
    again = generate(bench, signer, wanted("again", manifest=recipe.parse_manifest("\n".join(lines))))
    assert again.generation == first.generation


@pytest.mark.parametrize("suite", [pysequoia.CipherSuite.Cv25519, pysequoia.CipherSuite.RSA2k])
def test_signatures_are_equal_each_time_and_not_older_than_the_key(suite: pysequoia.CipherSuite) -> None:
    secret = pysequoia.Tsk.generate("t <t@example.com>", profile=pysequoia.Profile.RFC4880, cipher_suite=suite)
    signers = [signing.Signer(secretkey.load_secret_key(str(secret).encode())) for _ in range(2)]
    detached = {one.sign_detached(b"text", made=5) for one in signers}
    inline = {one.sign_inline(b"Origin: x \n- y\n", made=5) for one in signers}
    assert len(detached) == len(inline) == 1
    created = pysequoia.Sig.from_bytes(detached.pop()).created
    assert created is not None
    assert abs((datetime.datetime.now(datetime.UTC) - created).total_seconds()) < 3600
    assert signers[0].sign_detached(b"text", made=int(created.timestamp()) + 9) not in detached


def test_keys_that_cannot_sign_alike_are_refused() -> None:
    rfc = pysequoia.Profile
    for secret, word in (
        (str(pysequoia.Tsk.generate("t", profile=rfc.RFC4880, cipher_suite=pysequoia.CipherSuite.P256)), "differ"),
        (str(pysequoia.Tsk.generate("t", profile=rfc.RFC9580)), "differ"),
        (str(pysequoia.Tsk.generate("t").extract_certificate()), "cannot be used"),
        ("nonsense", "cannot be used"),
    ):
        with pytest.raises(Exception, match=word):
            secretkey.load_secret_key(secret.encode())


@pytest.mark.parametrize("frozen", ["", "1"])
def test_made_again_after_damage(make: Make, signer: signing.Signer, frozen: str) -> None:
    bench = make(simulated_upstream.Site(upstream()))
    bench.sync()
    order = wanted(include=["bash"], frozen=frozen)
    first = generate(bench, signer, order)
    shown = bench.published("new")
    (path,) = [path for path in shown if "primary" in path]
    (bench.volume.published("new") / path).write_bytes(b"damage")
    bench.site.files = upstream([*ALL, made.Rpm("bash", "5.3")], 50)
    bench.sync()
    maker = generator.Generator(bench.volume.files, bench.clock)
    result = maker.generate(bench.volume, order, signer, again=True)
    assert (result.state, result.packages) == (outcome.State.SYNCED, 2 if frozen else 3)
    assert result.generation != first.generation
    assert text_of(bench.published("new"), "primary").count("<package ") == result.packages
    assert generate(bench, signer, order).state is outcome.State.UNCHANGED


def test_what_leaves_no_reserve_is_refused(make: Make, signer: signing.Signer) -> None:
    class FullFiles(crashing_files.CrashingFiles):
        def space(self, path: Path) -> host_files.Space:
            del path
            return host_files.Space(1 << 40, 64 << 20)

    start = make(simulated_upstream.Site(upstream()))
    start.sync()
    result = generate(make(start.site, files=FullFiles()), signer)
    assert result.error is not None
    assert result.error.code == "WouldNotFit"
    assert start.published("new") == {}


def test_two_generations_of_one_source(make: Make, signer: signing.Signer) -> None:
    old, new = made.Rpm("tool", "1", path="tool.rpm"), made.Rpm("tool", "2", path="tool.rpm")
    bench = make(simulated_upstream.Site(made.repository([old])))
    bench.sync()
    bench.site.files = made.repository([new, made.Rpm("odd", path="from/src/tool.rpm")], timestamp=1_700_000_009)
    bench.sync()
    result = generate(bench, signer, wanted("new", "src", f"src@{_first(bench)}"))
    assert (result.error, result.packages) == (None, 3)
    shown = bench.published("new")
    assert [shown[path] for path in ("tool.rpm", "from/src/tool.rpm", "from/src.2/tool.rpm")] == [
        new.bytes, b"odd-1-1.x86_64", old.bytes,
    ]  # fmt: skip
    assert inspection.verify(bench.volume, bench.clock).is_whole
