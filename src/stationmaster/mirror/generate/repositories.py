"""From inputs and a choice to a draft, for each format: read, decide, write."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from stationmaster.mirror.generate import (
    debinput,
    debwriter,
    draft,
    packages,
    recipe,
    rpminput,
    rpmwriter,
    selection,
    signing,
)
from stationmaster.model import errors


@dataclasses.dataclass(frozen=True)
class Choosing:
    """What was offered and chosen; ``write`` makes the draft of it."""

    offered: Sequence[packages.Package]
    chosen: selection.Selection
    write: Callable[[draft.Order, signing.Signer], draft.Draft]

    def lines(self) -> list[str]:
        """The chosen packages as a manifest names them."""
        return sorted({self.offered[index].manifest_line for index in self.chosen.kept})


def choose(inputs: Sequence[draft.Input], wanted: recipe.Recipe) -> Choosing:
    """Read the inputs, and choose. CallerError when the recipe does not fit what is there."""
    formats = {one.header.format for one in inputs}
    if len(formats) > 1:
        raise errors.CallerError(
            f"{wanted.name} cannot be generated from RPM and DEB sources together.", hint="Name inputs of one format."
        )
    found = _choose_rpm(inputs, wanted) if formats == {"rpm"} else _choose_deb(inputs, wanted)
    _require_sense(wanted, found.chosen)
    return found


def _choose_rpm(inputs: Sequence[draft.Input], wanted: recipe.Recipe) -> Choosing:
    sources = [rpminput.RpmInput(one) for one in inputs]
    offered = [package for source in sources for package in source.read_packages()]
    documents = rpminput.read_documents(sources)
    chosen = selection.select(offered, documents.streams, rpminput.read_groups(sources), wanted.choice)

    def write(order: draft.Order, signer: signing.Signer) -> draft.Draft:
        return rpmwriter.RpmWriter(order, sources, offered, documents, chosen).write(signer)

    return Choosing(offered, chosen, write)


def _choose_deb(inputs: Sequence[draft.Input], wanted: recipe.Recipe) -> Choosing:
    sources = [debinput.DebInput(one) for one in inputs]
    offered = [package for source in sources for package in source.read_packages()]
    chosen = selection.select(offered, (), {}, wanted.choice)

    def write(order: draft.Order, signer: signing.Signer) -> draft.Draft:
        return debwriter.DebWriter(order, sources, offered, chosen).write(signer)

    return Choosing(offered, chosen, write)


def _require_sense(wanted: recipe.Recipe, chosen: selection.Selection) -> None:
    """Refuse what would give clients nothing, or less than was promised."""
    if chosen.missing:
        raise errors.CallerError(
            f"{len(chosen.missing)} packages of the manifest are in none of the inputs, e.g. {chosen.missing[0]}.",
            hint="Generate from sources that have them, or take the lines out of the manifest.",
            code="ManifestIncomplete",
        )
    if not chosen.kept and not wanted.allow_empty:
        told = f" {' '.join(chosen.warnings)}" if chosen.warnings else ""
        raise errors.CallerError(
            f"The choice for {wanted.name} selects no package.{told}",
            hint="Correct it. If an empty source is meant, allow it (--allow-empty).",
            code="NothingSelected",
        )
