"""The tensors of a model by name: collecting, loading, saving.

A model is any object. Its tensors are found by walking attributes, lists, tuples and dicts; the path is the name, as in
``blocks.0.attention.weight``. ``Module`` is a convenience on top of this, not a requirement.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from ir import dtypes
from tinygrad_like.io import (
    InputError,
    StoredTensor,
    code_of,
    read_safetensors,
    read_tar,
    read_torch_file,
    read_zip,
    write_safetensors,
)
from tinygrad_like.tensor import Tensor


class Mismatch(NamedTuple):
    """A name of the model whose tensor has another shape in the state."""

    name: str
    expected: tuple[int, ...]
    found: tuple[int, ...]


class LoadReport(tuple[list[str], list[str]]):
    """What loading found: a pair as in PyTorch, (names that the state lacks, names that the model lacks), and more.

    matched_keys: the names that were loaded. mismatched: names that both have, with different shapes.

    >>> print(model.load_state_dict(checkpoint, strict=False))
    loaded 60 of 62 tensors
    kept their values (not in the state): head.weight, head.bias
    """

    matched_keys: list[str]
    mismatched: list[Mismatch]

    def __new__(cls, missing: Sequence[str] = (), unexpected: Sequence[str] = (), matched: Sequence[str] = (),
                mismatched: Sequence[Mismatch] = ()) -> LoadReport:
        report = super().__new__(cls, (list(missing), list(unexpected)))
        report.matched_keys, report.mismatched = list(matched), list(mismatched)
        return report

    @property
    def missing_keys(self) -> list[str]:
        """Names of the model that the state lacks."""
        return self[0]

    @property
    def unexpected_keys(self) -> list[str]:
        """Names of the state that the model lacks."""
        return self[1]

    def __str__(self) -> str:
        total = len(self.matched_keys) + len(self.missing_keys) + len(self.mismatched)
        lines = [f"loaded {len(self.matched_keys)} of {total} tensors"]
        if self.missing_keys:
            lines.append(f"kept their values (not in the state): {', '.join(self.missing_keys)}")
        shapes = ", ".join(f"{m.name} {list(m.expected)}, not {list(m.found)}" for m in self.mismatched)
        if shapes:
            lines.append(f"kept their values (other shapes in the state): {shapes}")
        if self.unexpected_keys:
            lines.append(f"not used (not in the model): {', '.join(self.unexpected_keys)}")
        return "\n".join(lines)


def named_values(obj: Any, kind: type, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of type ``kind`` that ``obj`` holds, with its path, in the order of the attributes.

    A value held twice (tied weights) is found twice; an object that refers back to one above it is not followed.
    """
    stack: list[tuple[str, Any, tuple[int, ...]]] = [(prefix.strip("."), obj, ())]
    while stack:
        name, value, above = stack.pop()
        if isinstance(value, kind):
            yield name, value
        if isinstance(value, Tensor) or id(value) in above:
            continue
        path = (*above, id(value))
        stack += [(f"{name}.{key}" if name else key, child, path) for key, child in reversed(_children(value))]


def _children(value: Any) -> list[tuple[str, Any]]:
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return [(str(key), child) for key, child in value.items()]
    if isinstance(value, (list, tuple)):
        return [(str(i), child) for i, child in enumerate(value)]
    if isinstance(value, (type, FunctionType, ModuleType)):
        return []
    return list(getattr(value, "__dict__", {}).items())


def get_state_dict(obj: Any, prefix: str = "", tensor_type: type = Tensor) -> dict[str, Tensor]:
    """All tensors that ``obj`` holds, by name.

    >>> sorted(get_state_dict(nn.Linear(2, 3)))
    ['bias', 'weight']
    """
    return dict(named_values(obj, tensor_type, prefix))


def get_parameters(obj: Any) -> list[Tensor]:
    """All tensors that ``obj`` holds, running statistics included: what an optimizer is given (it tells them apart)."""
    return list(get_state_dict(obj).values())


def load_state_dict(
    model: Any, state_dict: dict[str, Tensor], strict: bool = True, verbose: bool = False, consume: bool = False,
    realize: bool = True,
) -> list[Tensor]:
    """Copy ``state_dict`` into the tensors of ``model`` and return those; nothing changes where an error is raised.

    strict: every tensor of the model must be there (names that the model lacks are passed over, as in tinygrad).
    verbose: print how many were loaded. consume: empty ``state_dict`` on the way. realize: copy now, not lazily.
    Errors: ValueError for a missing name or for a shape that differs.
    """
    targets = check_fits(model, state_dict, strict)
    for name, tensor in targets.items():
        value = state_dict.pop(name) if consume else state_dict[name]
        value = value if isinstance(value, Tensor) else Tensor(np.asarray(value))
        tensor.assign(value.to(tensor.device).cast(tensor.dtype).reshape(tensor.shape))
    loaded = list(targets.values())
    if realize and loaded:
        Tensor.realize(*loaded)
    if verbose:
        print(f"loaded {len(loaded)} tensors, {sum(tensor.nbytes() for tensor in loaded) / 1e6:.2f} MB")
    return loaded


def check_fits(model: Any, state_dict: Mapping[str, Any], strict: bool = True) -> dict[str, Tensor]:
    """The tensors of ``model`` that ``state_dict`` has values for; errors as of ``load_state_dict``."""
    missing = compared(model, state_dict).missing_keys
    if strict and missing:
        raise ValueError(describe_mismatch(LoadReport(missing), state_dict))
    for name, expected, found in mismatched_shapes(model, state_dict):
        raise ValueError(f"{name} has shape {expected} in the model and {found} in the state")
    return {name: tensor for name, tensor in get_state_dict(model).items() if name in state_dict}


def mismatched_shapes(model: Any, state_dict: Mapping[str, Any]) -> list[Mismatch]:
    """The names that both have, with different shapes."""
    pairs = [(name, tensor.shape, tuple(state_dict[name].shape))
             for name, tensor in get_state_dict(model).items() if name in state_dict]
    # A single element may be stored as () or as (1,): PyTorch and tinygrad differ there.
    return [Mismatch(*pair) for pair in pairs if pair[1] != pair[2] and {pair[1], pair[2]} != {(), (1,)}]


def compared(model: Any, state_dict: Mapping[str, Any]) -> LoadReport:
    """What loading ``state_dict`` into ``model`` finds."""
    own, mismatched = get_state_dict(model), mismatched_shapes(model, state_dict)
    unlike = {mismatch.name for mismatch in mismatched}
    return LoadReport([n for n in own if n not in state_dict], [n for n in state_dict if n not in own],
                      [n for n in own if n in state_dict and n not in unlike], mismatched)


def describe_mismatch(report: LoadReport, state_dict: Mapping[str, Any]) -> str:
    """One line for an error: how many names differ, the first of them, and the nearest name on the other side."""
    parts = []
    if report.missing_keys:
        first = report.missing_keys[0]
        close = difflib.get_close_matches(first, list(state_dict), n=1)
        hint = f" (the nearest there is {close[0]})" if close else ""
        parts.append(f"it lacks {len(report.missing_keys)} of the model's tensors, first {first}{hint}")
    if report.unexpected_keys:
        parts.append(f"it has {len(report.unexpected_keys)} tensors that the model lacks, "
                     f"first {report.unexpected_keys[0]}")
    return f"the state does not fit the model: {' and '.join(parts)}; strict=False loads what fits"


def safe_save(
    tensors: Mapping[str, Tensor], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named tensors as a safetensors file, whole or not at all.

    >>> safe_save(get_state_dict(model), "model.safetensors")
    """
    write_safetensors(path, {name: _stored(tensor) for name, tensor in tensors.items()}, metadata)


def safe_load(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The named tensors of a safetensors file. Errors: InputError where the file is truncated, damaged or foreign."""
    return safe_load_with_metadata(path)[0]


def safe_load_with_metadata(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The named tensors and the metadata of a safetensors file."""
    tensors, metadata = read_safetensors(path)
    return {name: _loaded(stored) for name, stored in tensors.items()}, metadata


def torch_load(path: str | os.PathLike[str]) -> Any:
    """What ``torch.save`` wrote, read without PyTorch: mostly a dict of names and tensors, or one of such dicts.

    >>> report = model.load_state_dict(torch_load("resnet18.pth"), strict=False)

    Errors: InputError for a file that is damaged, or that holds more than tensors and plain data: nothing that it names
    is run.
    """
    return _with_tensors(read_torch_file(path))


def tar_extract(archive: Tensor | str | os.PathLike[str]) -> dict[str, Tensor]:
    """The files of a tar archive, compressed or not, by name, as bytes (uint8); from a path or from its own bytes."""
    return {name: Tensor(np.frombuffer(content, np.uint8).copy()) for name, content in read_tar(_source(archive))}


def zip_extract(archive: Tensor | str | os.PathLike[str]) -> dict[str, Tensor]:
    """The files of a zip archive by name, as bytes (uint8); from a path or from its own bytes."""
    return {name: Tensor(np.frombuffer(content, np.uint8).copy()) for name, content in read_zip(_source(archive))}


def _source(archive: Tensor | str | os.PathLike[str]) -> bytes | str | os.PathLike[str]:
    return archive.numpy().tobytes() if isinstance(archive, Tensor) else archive


def _with_tensors(value: Any) -> Any:
    if isinstance(value, StoredTensor):
        return _loaded(value)
    if isinstance(value, dict):
        return {key: _with_tensors(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_with_tensors(item) for item in value)
    return value


def load_file(model: Any, path: str | os.PathLike[str]) -> None:
    """Load a safetensors file into ``model``; an InputError names the file where it does not fit."""
    try:
        load_state_dict(model, safe_load(path))
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def _stored(tensor: Tensor) -> StoredTensor:
    if tensor.dtype == dtypes.bfloat16:
        return StoredTensor("BF16", tensor.bitcast(dtypes.uint16).numpy())
    array = tensor.numpy()
    return StoredTensor(code_of(array.dtype), array)


def _loaded(stored: StoredTensor) -> Tensor:
    tensor = Tensor(stored.array)
    return tensor.bitcast(dtypes.bfloat16) if stored.code == "BF16" else tensor
