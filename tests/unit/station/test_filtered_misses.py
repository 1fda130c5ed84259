"""R11: a 404 of a generated source says which filter left the package out, where an input on the volume has it."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pysequoia
import pytest

from stationmaster.host import local_server
from stationmaster.mirror.generate import filters, generator, leftout, recipe, secretkey, signing
from stationmaster.station import board, misses
from stationmaster.testing import generated_repositories as made
from stationmaster.testing import mirror_bench, simulated_upstream
from stationmaster.testing import stations as make

KEPT, OUT, ARM = made.Rpm("bash", "5.2"), made.Rpm("kernel", "6.1"), made.Rpm("tool", "1", arch="aarch64")


def choice(include: tuple[str, ...] = (), exclude: tuple[str, ...] = (), **further: object) -> recipe.Choice:
    return recipe.Choice(
        include=tuple(map(filters.parse_filter, include)),
        exclude=tuple(map(filters.parse_filter, exclude)),
        **further,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("made_of", "path", "why"),
    [
        (choice(exclude=("ker*", "bash")), "Packages/kernel-6.1-1.x86_64.rpm", "exclude 'ker*'"),
        (choice(exclude=("bash", "kernel.x86_64")), "kernel-6.1-1.x86_64.rpm", "exclude 'kernel.x86_64'"),
        (choice(exclude=("libc6:amd64",)), "pool/libc6_2.36-9_amd64.deb", "exclude 'libc6:amd64'"),
        (choice(exclude=("kernel < 7",)), "kernel-6.1-1.x86_64.rpm", "exclude 'kernel < 7'"),
        (choice(architectures=("x86_64",)), "tool-1-1.aarch64.rpm", "architectures x86_64"),
        (choice(include=("bash", "group:shells")), "kernel-6.1-1.x86_64.rpm", "include 'bash', include 'group:shells'"),
        (choice(newest=2), "kernel-6.1-1.x86_64.rpm", "the newest 2"),
        (choice(listed=("bash",)), "odd name", "a package list"),
        (choice(manifest=()), "kernel-6.1-1.x86_64.rpm", "a saved manifest"),
    ],
)
def test_what_left_a_package_out(made_of: recipe.Choice, path: str, why: str) -> None:
    assert leftout.describe(made_of, path) == why


@pytest.fixture(scope="module")
def signer() -> signing.Signer:
    key = pysequoia.Tsk.generate("t <t@example.com>", profile=pysequoia.Profile.RFC4880)
    return signing.Signer(secretkey.load_secret_key(str(key).encode()))


def ask(bench: mirror_bench.Bench, generation: str, path: str) -> local_server.LocalAnswer:
    http = simulated_upstream.MemoryHttp({}, wait=bench.clock.sleep)
    told = misses.Misses(board.Board(make.snapshot()), lambda: bench.volume, http, bench.clock)
    return told.answer(f"{misses.FILL}part/{generation}/{path}")


def code(answer: local_server.LocalAnswer) -> tuple[int, str]:
    return answer.status, answer.headers["X-Stationmaster-Miss"]


def test_a_miss_of_a_generated_source_names_the_filter(tmp_path: Path, signer: signing.Signer) -> None:
    site = simulated_upstream.Site(made.repository([KEPT, OUT, ARM], timestamp=1_700_000_000))
    bench = mirror_bench.make_bench(tmp_path, site)
    whole = bench.sync("whole", publish_alone=False)
    order = recipe.Recipe(name="part", inputs=(recipe.Input("whole"),), choice=choice(exclude=("kernel*", "tool")))
    part = generator.Generator(bench.volume.files, bench.clock).generate(
        bench.volume, order, signer, publish_alone=False
    )
    assert part.error is None
    assert part.generation is not None
    answer = ask(bench, part.generation, OUT.location)
    assert code(answer) == (404, "Filtered")
    assert msgspec.json.decode(answer.body)["message"] == (  # type: ignore[arg-type]
        f"{OUT.location} is in whole, and is left out of this source by exclude 'kernel*'."
    )
    assert code(ask(bench, part.generation, "Packages/never-1-1.x86_64.rpm")) == (404, "NeverExisted")
    own, others = (
        {path.name for path in (bench.volume.tree(name, str(generation)) / "repodata").iterdir()}
        for name, generation in (("whole", whole.generation), ("part", part.generation))
    )
    metadata = f"repodata/{min(own - others)}"
    assert code(ask(bench, part.generation, metadata)) == (404, "NeverExisted"), "filters leave out packages"
    shutil.rmtree(bench.volume.generation("whole", str(whole.generation)))
    assert code(ask(bench, part.generation, OUT.location)) == (404, "NeverExisted"), "nobody can tell any more"
