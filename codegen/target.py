"""The machine that code is made for: what strategies may count on, and what the emitter tells LLVM or nvcc."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import llvmlite.binding as llvm

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


@dataclass(frozen=True)
class Target:
    """A processor, described as far as schedules depend on it.

    kind: 'cpu' or 'cuda'. arch: LLVM's name of the CPU ('znver4') or the CUDA architecture ('sm_80').
    features: LLVM's feature string ('+avx2,+fma,...'). vector_bytes and vector_registers: of one register and how many.
    l1_bytes and l2_bytes: data caches of one core (CPU), shared memory and L2 (CUDA).

        >>> Target.cuda("sm_80").kind
        'cuda'
    """

    kind: str
    arch: str
    features: str = ""
    vector_bytes: int = 16
    vector_registers: int = 16
    l1_bytes: int = 32 << 10
    l2_bytes: int = 512 << 10

    @staticmethod
    def host() -> Target:
        """The CPU that this process runs on (asked once)."""
        return _host()

    @staticmethod
    def cpu(arch: str, features: str = "") -> Target:
        """A CPU by name and feature string: vectors are as wide as '+avx512f' or '+avx2' allow, else 16 bytes."""
        enabled = {name for name in features.split(",") if name.startswith("+")}
        if "+avx512f" in enabled:
            return Target("cpu", arch, features, 64, 32)
        if "+avx2" in enabled and "+fma" in enabled:
            return Target("cpu", arch, features, 32, 16)
        return Target("cpu", arch, features, 16, 32 if "+neon" in enabled else 16)

    @staticmethod
    def cuda(arch: str) -> Target:
        """An NVIDIA GPU of compute capability ``arch``, such as 'sm_80' or 'sm_90a'."""
        if not arch.startswith("sm_"):
            raise ValueError(f"unknown CUDA architecture {arch!r}: expected 'sm_' and a number, such as 'sm_80'")
        return Target("cuda", arch, "", 16, 255, 48 << 10, 40 << 20)

    def lanes(self, itemsize: int) -> int:
        """How many elements of ``itemsize`` bytes one vector register holds."""
        return max(1, self.vector_bytes // itemsize)


@lru_cache(maxsize=1)
def _host() -> Target:
    features = llvm.get_host_cpu_features().flatten()
    plain = Target.cpu(llvm.get_host_cpu_name(), features)
    return Target("cpu", plain.arch, features, plain.vector_bytes, plain.vector_registers,
                  _cache_bytes(1, plain.l1_bytes), _cache_bytes(2, plain.l2_bytes))


def _cache_bytes(level: int, default: int) -> int:
    """The size of one core's data cache, from Linux; ``default`` elsewhere."""
    for entry in sorted(_CACHES.glob("index*")):
        try:
            described = (entry / "level").read_text().strip(), (entry / "type").read_text().strip()
            size = (entry / "size").read_text().strip()
        except OSError:
            continue
        if described[0] == str(level) and described[1] in ("Data", "Unified") and size.endswith("K"):
            return int(size[:-1]) << 10
    return default
