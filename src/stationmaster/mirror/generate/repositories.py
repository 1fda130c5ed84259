"""From inputs and a choice to a draft, for each format: read, decide, write."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from stationmaster.mirror.generate import debinput, debwriter, draft, recipe, rpminput, rpmwriter, selection, signing
from stationmaster.model import errors


@dataclasses.dataclass(frozen=True)
class Made:
    """A draft, and how many packages it names."""

    draft: draft.Draft
    chosen: selection.Selection


def make_draft(
    order: draft.Order, inputs: Sequence[draft.Input], wanted: recipe.Recipe, signer: signing.Signer
) -> Made:
    """Read the inputs, choose, write. CallerError when the recipe does not fit what is there."""
    formats = {one.header.format for one in inputs}
    if len(formats) > 1:
        raise errors.CallerError(
            f"{wanted.name} cannot be generated from RPM and DEB sources together.", hint="Name inputs of one format."
        )
    return _make_rpm(order, inputs, wanted, signer) if formats == {"rpm"} else _make_deb(order, inputs, wanted, signer)


def _make_rpm(order: draft.Order, inputs: Sequence[draft.Input], wanted: recipe.Recipe, signer: signing.Signer) -> Made:
    sources = [rpminput.RpmInput(one) for one in inputs]
    offered = [package for source in sources for package in source.read_packages()]
    documents = rpminput.read_documents(sources)
    chosen = selection.select(offered, documents.streams, rpminput.read_groups(sources), wanted.choice)
    _require_sense(wanted, chosen)
    return Made(rpmwriter.RpmWriter(order, sources, offered, documents, chosen).write(signer), chosen)


def _make_deb(order: draft.Order, inputs: Sequence[draft.Input], wanted: recipe.Recipe, signer: signing.Signer) -> Made:
    sources = [debinput.DebInput(one) for one in inputs]
    offered = [package for source in sources for package in source.read_packages()]
    chosen = selection.select(offered, (), {}, wanted.choice)
    _require_sense(wanted, chosen)
    return Made(debwriter.DebWriter(order, sources, offered, chosen).write(signer), chosen)


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
