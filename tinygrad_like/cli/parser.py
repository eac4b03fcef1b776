"""Arguments: one-line errors that suggest what was meant, and the outermost layer of every command."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ir import GraphError
from ir.draw import DrawingError
from runtime import RuntimeFailure
from tinygrad_like.io import InputError

_EXPECTED = (InputError, GraphError, DrawingError, RuntimeFailure)
INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Help that states defaults, except where there is none to state."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors; an unknown option or command suggests the nearest one."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        keywords = {"formatter_class": _Formatter, "allow_abbrev": False, **keywords}
        super().__init__(*arguments, **keywords)
        self.set_defaults(_parser=self)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            parsed._parser.refuse(unknown[0])
        del parsed._parser
        return parsed

    def refuse(self, argument: str) -> NoReturn:
        """End with the error for an argument that nothing expects."""
        option = argument.partition("=")[0]
        if not option.startswith("-"):
            self.error(f"unexpected argument {argument!r}")
        known = [name for action in self._actions for name in action.option_strings]
        self.error(f"unknown option {option}{suggestion(option, known)}")

    def error(self, message: str) -> NoReturn:
        found = re.match(r"argument (?:\S+: )?invalid choice: '?([^']*?)'? \(choose from (.*)\)", message)
        if found:
            known = re.split(r",\s*", found[2].replace("'", ""))
            message = f"unknown choice {found[1]!r}{suggestion(found[1], known)}; there are {', '.join(known)}"
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def suggestion(word: str, known: Sequence[str]) -> str:
    """``; did you mean X?`` where some known word is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def run_command(name: str, command: Callable[[], int | None]) -> int:
    """Run ``command`` and return the exit status: what a user can mend is one line on stderr, without a traceback."""
    try:
        return command() or 0
    except _EXPECTED as error:
        print(f"{name}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has gone; what is left in the buffer must not raise once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
