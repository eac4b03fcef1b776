"""The command ``tgl``: train, sample, dump, bench, doctor."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from tinygrad_like import __version__
from tinygrad_like.cli import bench, doctor, dump, sample, train
from tinygrad_like.cli.parser import Parser, run_command

_COMMANDS: dict[str, tuple[ModuleType, str]] = {
    "train": (train, "train a GPT on a text"),
    "sample": (sample, "let a trained model write"),
    "dump": (dump, "look at a computation: graph, kernels, loops, LLVM IR, assembly, CUDA C"),
    "bench": (bench, "time training steps, reading and writing with GPT-2, and single operations on this machine"),
    "doctor": (doctor, "say what this installation can do and what is missing"),
}


def make_parser() -> Parser:
    """The parser of all commands."""
    parser = Parser(prog="tgl", description="Train and look into models, down to machine code.")
    parser.add_argument("--version", action="version", version=f"tgl {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for name, (module, help_line) in _COMMANDS.items():
        command = commands.add_parser(name, help=help_line, description=f"{help_line[0].upper()}{help_line[1:]}.")
        module.add_arguments(command)
        command.set_defaults(handler=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``tgl`` with these arguments (the process's own by default); returns the exit status."""
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.error(f"give a command: {', '.join(_COMMANDS)}")
    return run_command(f"tgl {options.command}", lambda: options.handler(options))
