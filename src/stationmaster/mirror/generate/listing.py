"""What a held generation names, as a manifest that people keep: one line a package, name and digest, sorted."""

from __future__ import annotations

from stationmaster.mirror import catalog
from stationmaster.mirror import volume as volumes
from stationmaster.mirror.generate import debinput, draft, recipe, rpminput
from stationmaster.model import errors


def find_input(place: volumes.Volume, wanted: recipe.Input, number: int = 0) -> draft.Input:
    """The generation that an input means now; NotFoundError when it is not held."""
    if wanted.generation:
        header = catalog.find_header(place, wanted.name, wanted.generation)
    else:
        header = catalog.newest_header(place, wanted.name)
    if header is None:
        raise errors.NotFoundError(
            f"{place.root} holds no generation of {wanted}.",
            hint="`mirror status` lists what it holds; sync the source first.",
            code="InputMissing",
        )
    return draft.Input(number, header, place.tree(wanted.name, header.generation))


def manifest_lines(place: volumes.Volume, wanted: recipe.Input) -> list[str]:
    """``IDENTITY@ALGORITHM:DIGEST`` of each package."""
    found = find_input(place, wanted)
    source = rpminput.RpmInput(found) if found.header.format == "rpm" else debinput.DebInput(found)
    return sorted({package.manifest_line for package in source.read_packages()})
