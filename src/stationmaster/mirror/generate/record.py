"""What a generated generation was made of: ``generated.json`` beside its manifest, and with it from the first moment.

It tells that nothing need be done, and what a frozen version is. A copy on another volume has none, and needs none.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from stationmaster.host import files as host_files
from stationmaster.mirror import volume as volumes
from stationmaster.mirror.generate import recipe as recipes

GENERATOR = 1
"""Raised when the same recipe would give other bytes."""

_NAME = "generated.json"


class Record(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The recipe, the generations it found, the key that signed."""

    generator: int
    recipe: recipes.Recipe
    inputs: tuple[recipes.Input, ...]
    key: str

    def says_the_same(self, other: Record) -> bool:
        """Whether the result would be the same; when the choice was made does not matter."""
        return msgspec.structs.replace(self, recipe=_undated(self.recipe)) == msgspec.structs.replace(
            other, recipe=_undated(other.recipe)
        )


def read_record(place: volumes.Volume, source: str, generation: str) -> Record | None:
    """The record of a held generation; None when it was not generated here."""
    try:
        return msgspec.json.decode((place.generation(source, generation) / _NAME).read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None


def write_record(files: host_files.Files, directory: Path, made: Record) -> None:
    """Put the record into a staged generation."""
    files.write_atomic(directory / _NAME, msgspec.json.encode(made), durable=False)


def _undated(one: recipes.Recipe) -> recipes.Recipe:
    return msgspec.structs.replace(one, chosen_at=0)
