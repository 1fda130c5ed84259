"""What a generated source is made of: inputs and a choice. Checked when it is made, kept with what it made."""

from __future__ import annotations

import re

import msgspec

from stationmaster.mirror import source
from stationmaster.mirror.generate import filters
from stationmaster.model import errors

_GENERATION = re.compile(r"[0-9a-f]{32}")
_MANIFEST_LINE = re.compile(r"(?P<identity>\S+)@(?P<checksum>(?:sha256|sha384|sha512|sha1):[0-9a-f]{40,128})")


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A source on the same volume; ``generation`` empty: the one that is newest there."""

    name: str
    generation: str = ""

    def __str__(self) -> str:
        return f"{self.name}@{self.generation}" if self.generation else self.name


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Which packages are kept, in this order of decision; an empty field decides nothing.

    ``manifest`` (identity and checksum of each) stands alone: exactly those. Else what is in ``listed`` or matches one
    of ``include`` (all, without either), of ``architectures`` (and of none), not matching ``exclude``, and of that the
    ``newest`` versions.
    """

    include: tuple[filters.Filter, ...] = ()
    exclude: tuple[filters.Filter, ...] = ()
    listed: tuple[str, ...] | None = None
    manifest: tuple[tuple[str, str], ...] | None = None
    architectures: tuple[str, ...] = ()
    newest: int = 0

    def __post_init__(self) -> None:
        if self.listed is not None and self.include:
            raise errors.CallerError(
                "A package list and include filters are two answers to one question.", hint="Give one of them."
            )
        further = self.include or self.exclude or self.listed is not None or self.architectures or self.newest
        if self.manifest is not None and further:
            raise errors.CallerError(
                "A manifest says exactly what is kept; it cannot be combined with filters, lists, architectures or a "
                "number of versions.",
                hint="Give the manifest alone, or leave it out.",
            )
        if self.newest < 0:
            raise errors.CallerError("The number of versions to keep must be positive.", hint="Give 1 or more.")


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A generated source: its name, its inputs in order of preference, the choice.

    ``frozen``: the version's name; once made, it stays. ``chosen_at`` (Unix seconds): when the choice was last changed,
    0 for what cannot tell; it dates the result, together with the inputs. ``allow_empty``: nothing may be chosen.
    """

    name: str
    inputs: tuple[Input, ...]
    choice: Choice = Choice()
    frozen: str = ""
    chosen_at: int = 0
    allow_empty: bool = False

    def __post_init__(self) -> None:
        source.require_name(self.name)
        if not self.inputs:
            raise errors.CallerError(f"{self.name} is generated from nothing.", hint="Name at least one source.")
        names = [str(one) for one in self.inputs]
        if len(set(names)) < len(names) or any(one.name == self.name for one in self.inputs):
            raise errors.CallerError(
                f"{self.name} is generated from {', '.join(names)}: an input is another source, and named once.",
                hint="Correct the inputs.",
            )


def parse_input(text: str) -> Input:
    """``NAME`` or ``NAME@GENERATION``."""
    name, at, generation = text.rpartition("@")
    if at and _GENERATION.fullmatch(generation):
        return Input(name, generation)
    source.require_name(text)
    return Input(text)


def parse_list(text: str) -> tuple[str, ...]:
    """The lines of a package list, sorted, without comments, doubles and blank lines: their order says nothing."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(sorted({line for line in lines if line}))


def parse_manifest(text: str) -> tuple[tuple[str, str], ...]:
    """The lines of a saved manifest, ``IDENTITY@ALGORITHM:DIGEST`` each."""
    found = []
    for line in parse_list(text):
        match = _MANIFEST_LINE.fullmatch(line)
        if match is None:
            raise errors.CallerError(
                f"{line[:120]!r} is no line of a manifest.",
                hint="`mirror manifest` prints one: NAME-…@sha256:… a line.",
            )
        found.append((match["identity"], match["checksum"]))
    return tuple(found)
