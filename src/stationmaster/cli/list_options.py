"""Options that take several values: `--component main contrib` as well as the option repeated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click


class ListCommand(click.Command):
    """A command without arguments, of whose options those in ``lists`` may be given several values at once."""

    def __init__(self, *args: Any, lists: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self._lists = lists

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat the option before each further value."""
        spread: list[str] = []
        option = ""
        for word in args:
            if word.startswith("-"):
                option = word if word in self._lists else ""
            elif option and spread[-1] != option:
                spread.append(option)
            spread.append(word)
        return super().parse_args(ctx, spread)
