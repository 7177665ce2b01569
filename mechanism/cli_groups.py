"""The command's outermost group: rooms whose packages are not installed say so, and nothing else.

`pip install mechanism` brings what `price` and `audit` need. `llm`, `claims` and `reproduce` need
more; each is imported when it is called.
"""

from importlib import import_module
from typing import Any

import typer

from mechanism.terminal import Commands

LATER = {"llm": "mechanism.llm.command"}
EXTRAS = {"llm": "llm", "claims": "paper", "reproduce": "paper"}


class Rooms(Commands):
    """A group that imports the commands of `LATER` when they are used."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of all commands, in the order of the help."""
        return [*super().list_commands(ctx), *LATER]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a room, or a command that says what to install."""
        if cmd_name not in LATER:
            return super().get_command(ctx, cmd_name)
        try:
            app = import_module(LATER[cmd_name]).app
        except ModuleNotFoundError as error:
            return _absent(cmd_name, error)
        command = typer.main.get_command(app)
        command.name = cmd_name
        return command

    def invoke(self, ctx: Any) -> Any:
        """Run a command; a package that is missing ends it with one line, exit code 2."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("mechanism"):
                raise
            _stop(str(ctx.invoked_subcommand), error)


def _absent(name: str, error: ModuleNotFoundError) -> Any:
    app = typer.Typer()
    settings = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}

    @app.command(name, context_settings=settings, help=f"Not installed here ({error.name}).")
    def stop() -> None:
        _stop(name, error)

    return typer.main.get_command(app)


def _stop(name: str, error: ModuleNotFoundError) -> None:
    extra = "cluster" if error.name in ("dask", "distributed") else EXTRAS.get(name, "paper")
    typer.echo(
        f"Error: mechanism {name} needs {error.name}, which is not installed. Fix: pip install"
        f' "mechanism[{extra}]", or work in a clone of the repository (make setup).',
        err=True,
    )
    raise typer.Exit(2)
