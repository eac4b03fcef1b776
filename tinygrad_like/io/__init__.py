"""Files: atomic writes, safetensors, and the error for what a user handed in."""

from tinygrad_like.io.archives import read_tar, read_zip
from tinygrad_like.io.errors import InputError
from tinygrad_like.io.files import atomic_write, cache_directory, read_bytes, write_text
from tinygrad_like.io.safetensors_file import StoredTensor, code_of, read_safetensors, write_safetensors
from tinygrad_like.io.torch_file import read_torch_file

__all__ = [
    "InputError",
    "StoredTensor",
    "atomic_write",
    "cache_directory",
    "code_of",
    "read_bytes",
    "read_safetensors",
    "read_tar",
    "read_torch_file",
    "read_zip",
    "write_safetensors",
    "write_text",
]
