"""What a person sees of a scenario: steps with their time while they run, and tables at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from stationmaster.host import clock

if TYPE_CHECKING:
    import rich.console


class Reporter(Protocol):
    """Where a scenario says what it does."""

    def step(self, title: str) -> contextlib.AbstractContextManager[None]:
        """A step that runs while the context lasts."""
        ...

    def say(self, text: str) -> None:
        """Something that was found out on the way."""
        ...

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table."""
        ...


class TerminalReporter:
    """Live on a terminal, plain lines elsewhere."""

    def __init__(self, console: rich.console.Console, time: clock.Clock) -> None:
        self._console = console
        self._time = time
        self._began = time.monotonic()

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A spinner while it runs, one line with its duration afterwards."""
        started = self._time.monotonic()
        if not self._console.is_terminal:
            self._console.print(f"{self._stamp()}  … {title}", highlight=False, markup=False, soft_wrap=True)
        with self._console.status(title):
            try:
                yield
            except BaseException:
                self._console.print(f"{self._stamp()}  [red]✗[/] {title}", highlight=False, soft_wrap=True)
                raise
        took = self._time.monotonic() - started
        self._console.print(
            f"{self._stamp()}  [green]✓[/] {title} [dim]({took:.1f} s)[/]", highlight=False, soft_wrap=True
        )

    def say(self, text: str) -> None:
        """An indented line."""
        self._console.print(f"{'':10}{text}", style="dim", highlight=False, markup=False, soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table whose first column is words and the others are figures."""
        import rich.table

        made = rich.table.Table(title=title, title_justify="left")
        for number, column in enumerate(columns):
            made.add_column(column, justify="right" if number else "left")
        for row in rows:
            made.add_row(*row)
        self._console.print(made)

    def _stamp(self) -> str:
        return f"{self._time.monotonic() - self._began:6.1f} s"


class SilentReporter:
    """For tests: keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.tables: list[tuple[str, list[list[str]]]] = []

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Note the step."""
        self.said.append(title)
        yield

    def say(self, text: str) -> None:
        """Note the words."""
        self.said.append(text)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Note the rows, the heading first."""
        self.tables.append((title, [list(columns), *(list(row) for row in rows)]))
