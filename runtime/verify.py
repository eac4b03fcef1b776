"""Checks on whole programs, for tests: what must hold of every program whatever graph it came from."""

from __future__ import annotations

from runtime.program import Launch, Program, Region, walk


class ProgramError(AssertionError):
    """A program is malformed: scheduling, lowering or planning made a mistake."""


def verify_program(program: Program) -> None:
    """Raises ProgramError unless launches fit their storages, regions are independent, temporaries are written before
    they are read, and function names are unique."""
    if [storage.id for storage in program.storages] != list(range(len(program.storages))):
        raise ProgramError("storages are not numbered by position")
    names = [function.name for function in program.functions()]
    if len(set(names)) != len(names):
        raise ProgramError(f"two functions share a name: {sorted(names)}")
    written = set(program.arguments)
    for _, region in walk(program.commands):
        for launch in region.launches:
            _verify_launch(program, launch)
            unwritten = _reads(launch) - written - _writes(launch)
            if unwritten:
                raise ProgramError(f"{launch.function.name} reads temporaries {sorted(unwritten)} before they are "
                                   "written")
        _verify_region(region)
        for launch in region.launches:
            written |= _writes(launch)


def _verify_launch(program: Program, launch: Launch) -> None:
    function = launch.function
    if len(function.parameters) != len(launch.arguments):
        raise ProgramError(f"{function.name} has {len(function.parameters)} parameters; given {len(launch.arguments)}")
    for parameter, key in zip(function.parameters, launch.arguments, strict=True):
        storage = program.storages[key]
        if parameter.size * parameter.dtype.itemsize > storage.nbytes:
            raise ProgramError(f"{function.name}: {parameter.name} has {parameter.size} elements of "
                               f"{parameter.dtype.name}, its storage {storage.nbytes} bytes")
        if parameter.dtype is not storage.dtype:
            raise ProgramError(f"{function.name}: {parameter.name} is {parameter.dtype.name}, its storage "
                               f"{storage.dtype.name}")
    missing = set(function.symbols) - set(program.symbols)
    if missing:
        raise ProgramError(f"{function.name} reads the symbols {sorted(missing)}, which the program does not have")


def _verify_region(region: Region) -> None:
    """No launch writes what another one of the same region reads (two may write parts of one value, as of a concat)."""
    for launch in region.launches:
        for other in region.launches:
            shared = _writes(launch) & _reads(other)
            if launch is not other and shared:
                raise ProgramError(f"{launch.function.name} and {other.function.name} run together, but the first "
                                   f"writes storage {min(shared)}, which the second reads")


def _reads(launch: Launch) -> set[int]:
    parameters = launch.function.parameters
    return {key for parameter, key in zip(parameters, launch.arguments, strict=True) if parameter.readonly}


def _writes(launch: Launch) -> set[int]:
    return set(launch.arguments) - _reads(launch)
