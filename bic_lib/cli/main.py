"""Entry point of `bic`: finds the command, runs it, and turns what went wrong into one or two lines and an exit status.

Exit status (docs/design.md 6): 0 all well; 1 something failed; 2 wrong usage or settings; 130 interrupted by the keyboard.
"""

from __future__ import annotations

import errno
import importlib
import io
import keyword
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import rich_click as click

from bic_lib.cli.call import Call
from bic_lib.cli.completing import complete_names
from bic_lib.cli.examples import EXAMPLES
from bic_lib.cli.stopping import Terminated
from bic_lib.cli.wrong_usage import Group, demand_texts, told
from bic_lib.core.errors import BicError, SettingsError, UsageError
from bic_lib.core.version import VERSION
from bic_lib.engine import memory
from bic_lib.masking import shown

FAILED = 1
WRONG = 2
INTERRUPTED = 130
"""Exit statuses; 130 is 128 and SIGINT's number, as shells have it."""
_FULL = {errno.ENOSPC, errno.EDQUOT}
_STDERR = 2
"""The highest number of the streams that each process has."""

COMMANDS = {
    "demo": "Try everything here and now, with a simulated appliance.",
    "check": "Look whether sites, destinations and settings are ready.",
    "run": "Run the schedules: in the foreground, or once.",
    "download": "Transfer chosen data now: the test download.",
    "backfill": "Fill in a site's history.",
    "import": "Import session XML that was stored earlier.",
    "session": "One session: who, when, what, where it lies, how far proven.",
    "verify": "Compare what is stored with the ledger.",
    "seal": "Seal finished days, and check sealed ones.",
    "health": "Is anything wrong, and what will be lost when?",
    "status": "Schedules, streams and sites: what is done, what waits.",
    "runs": "What the last runs did.",
    "failures": "What was not delivered, with the reason.",
    "retry": "Try failed transfers again.",
    "acknowledge": "Say that a loss or a doubt was seen.",
    "purge": "Remove what was delivered of sessions.",
    "hold": "Hold sessions: nothing purges or retires them.",
    "notify-test": "Send a test to everybody who would be told.",
    "logs": "What the scheduler and the transfers logged.",
    "settings": "Show the effective settings, or their JSON Schema.",
    "ledger": "Copy the ledger into a file, or bring a copy back.",
    "schema": "Print the DDL of the storage database.",
    "serve": "Run the schedules and the pages as a service.",
    "simulate": "Serve a simulated appliance.",
}
"""Each command with its line in `bic --help`; its module is bic_lib/cli/commands/NAME.py."""


class Commands(Group):
    """Imports a command's module when the command is called, not to list it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- click's signature
        return click.RichCommand(name=cmd_name, help=COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, load(name) if name and listed else listed, rest


@cache
def load(name: str) -> click.Command:
    """The command of this name, with the options that are common to all."""
    command: click.Command = module(name).command
    command.epilog = "\n\n".join(("Examples:", *EXAMPLES[name]))
    return _with_common_options(command)


def module(name: str) -> ModuleType:
    """The module of this command."""
    called = f"{name.replace('-', '_')}{'_' if keyword.iskeyword(name) else ''}"
    return importlib.import_module(f"bic_lib.cli.commands.{called}")


def _with_common_options(command: click.Command) -> click.Command:
    options = (
        click.Option(
            ["--settings", "settings_file"],
            metavar="FILE",
            type=click.Path(),
            help="The settings file; else $BIC_SETTINGS, else bic.toml.",
        ),
        click.Option(["--json"], is_flag=True, help="Print the result as JSON, and nothing else, on standard output."),
        click.Option(["--verbose"], is_flag=True, help="Log to standard error, and show tracebacks."),
    )
    for option in options:
        option.expose_value, option.callback = False, _note
        command.params.append(option)
    version = click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_tell_version)
    version.help = "Print the version."
    command.params.append(version)
    complete_names(command)
    for part in getattr(command, "commands", {}).values():
        _with_common_options(part)
    return command


def _note(context: click.Context, option: click.Parameter, value: Any) -> None:
    """An option counts before the command's name as after it."""
    call = context.ensure_object(Call)
    if value and option.name:
        setattr(call, option.name, value)


def _tell_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        sys.stdout.write(f"bic {VERSION}\n")
        context.exit()


_HELP = """Moves sessions, recordings and backups from BeyondTrust Remote Support appliances to places that you own.

Each item is delivered once, unaltered, with proof. `bic COMMAND --help` tells more of a command."""

bic = _with_common_options(Commands(name="bic", help=_HELP, context_settings={"help_option_names": ["--help", "-h"]}))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `bic` with the process's arguments and end the process. Files that it makes are its user's only."""
    os.umask(0o077)
    memory.watch()
    _have_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            _take_every_character(stream)
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def _have_streams() -> None:
    """A service without a console, and whoever closed them, has none; a ledger must not be opened under their numbers either."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        continue
    os.close(number)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # it ends with the process


def _take_every_character(stream: io.TextIOWrapper) -> None:
    """UTF-8 into files and pipes; what a terminal or PYTHONIOENCODING asks for stays, and what that can't hold is replaced."""
    if not (stream.isatty() or os.environ.get("PYTHONIOENCODING")):
        stream.reconfigure(encoding="utf-8")
    if stream.errors in ("strict", "surrogateescape"):
        stream.reconfigure(errors="replace")


def run(arguments: Sequence[str]) -> int:
    """Run `bic` and return its exit status; what went wrong is on standard error."""
    try:
        demand_texts(arguments)
        status = bic.main(list(arguments), prog_name="bic", standalone_mode=False) or 0
        sys.stdout.flush()
    except Terminated as signalled:
        return signalled.status
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001 -- whatever it was: a user sees one line, not a traceback
        if memory.is_gone(error):
            memory.end()
        return _failed(error, verbose="--verbose" in arguments)
    return status


def _failed(error: Exception, *, verbose: bool) -> int:
    """Say what went wrong; the exit status."""
    if isinstance(error, click.ClickException):
        _complain(told(error), _usage_hint(error))
        return WRONG
    if verbose:
        _print_traceback()
    if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
        error = BicError(f"the output can't be written: {error.strerror}", hint="Look at where it goes.")
    if not isinstance(error, BicError):
        hint = "" if verbose else "Run it again with --verbose to see where."
        error = BicError(f"unexpected error: {type(error).__name__}: {error}", hint=hint)
    problems = error.problems if isinstance(error, SettingsError) else ()
    _complain(error.message, *(f"  {problem}" for problem in problems), error.hint)
    return WRONG if isinstance(error, (SettingsError, UsageError)) else FAILED


def _complain(what: str, *more: str) -> None:
    lines = [f"bic: {what}", *(line for line in more if line)]
    sys.stderr.write("\n".join(map(shown, lines)) + "\n")


def _print_traceback() -> None:
    import traceback  # noqa: PLC0415 -- only where somebody looks for a bug

    sys.stderr.write("".join(f"  {shown(line)}\n" for line in traceback.format_exc().splitlines()))


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"`{context.command_path} --help` tells how." if context else "`bic --help` tells how."
