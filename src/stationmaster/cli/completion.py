"""`stationmaster completion`: the script that a shell loads to complete commands and options."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    Examples:
      stationmaster completion bash > /etc/bash_completion.d/stationmaster
      stationmaster completion zsh > "${fpath[1]}/_stationmaster"
      stationmaster completion fish > ~/.config/fish/completions/stationmaster.fish
    """
    from click import shell_completion

    kind = shell_completion.get_completion_class(shell)
    if kind is None:  # pragma: no cover - the choice above lists what click has
        raise click.UsageError(f"No completion for {shell}.")
    root = context.find_root()
    made = kind(root.command, {}, "stationmaster", "_STATIONMASTER_COMPLETE")
    click.echo(made.source_template % made.source_vars())
