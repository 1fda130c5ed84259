"""A click group whose commands are imported when they are used: `mirror sync` must not pay for the hub's libraries."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping, MutableMapping
from typing import Any

import click


@dataclasses.dataclass(frozen=True)
class Lazy:
    """Where a command lies, ``module:object``, and the line that help shows without importing it."""

    target: str
    summary: str

    def load(self) -> click.Command:
        """Import it; a wrong table entry is our own mistake and raises as such."""
        module, _, name = self.target.partition(":")
        found = getattr(importlib.import_module(module), name)
        if not isinstance(found, click.Command):
            raise TypeError(f"{self.target} is no click command")
        return found


class LazyGroup(click.Group):
    """Commands from a table beside those added in the usual way; help is sorted by name."""

    def __init__(
        self,
        name: str | None = None,
        commands: MutableMapping[str, click.Command] | None = None,
        *,
        lazy: Mapping[str, Lazy] | None = None,
        **attributes: Any,
    ) -> None:
        super().__init__(name, commands, **attributes)
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted({*super().list_commands(ctx), *self.lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself, imported now if it is lazy."""
        entry = self.lazy.get(cmd_name)
        return entry.load() if entry else super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, lazy ones by their summary in the table."""
        rows = []
        for name in self.list_commands(ctx):
            if name in self.lazy:
                rows.append((name, self.lazy[name].summary))
                continue
            command = super().get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, command.get_short_help_str(90)))
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
