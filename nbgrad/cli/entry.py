"""The command `nbgrad`: its subcommands, and one clear line on standard error for what it can't do."""

import sys
from typing import Any

import click

import nbgrad
from nbgrad.cli.doctor import doctor
from nbgrad.cli.ps import clean, ps
from nbgrad.cli.run import run
from nbgrad.cli.train import INTERRUPTED, train
from nbgrad.cli.warmup import warmup


class OneLineGroup(click.Group):
    """A group that says what is wrong in one line; click would add the usage above it."""

    def main(self, *args: Any, **settings: Any) -> Any:
        try:
            code = super().main(*args, **{**settings, "standalone_mode": False})
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx is not None else "nbgrad"
            text = " ".join(error.format_message().split())
            click.echo(f"{path}: {text} See `{path} --help`.", err=True)
            sys.exit(error.exit_code)
        except click.ClickException as error:
            click.echo(f"nbgrad: {error.format_message()}", err=True)
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            click.echo("nbgrad: interrupted", err=True)
            sys.exit(INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)


@click.group(
    cls=OneLineGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(nbgrad.__version__, prog_name="nbgrad", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """Train models across the processes of one machine."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (train, run, ps, clean, warmup, doctor):
    main.add_command(command)
