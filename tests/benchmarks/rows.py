"""The rows of the table: which peers each workload stands beside, and what is to be reached."""

from __future__ import annotations

from dataclasses import dataclass, field

from tinygrad_like.bench import WORKLOADS, shapes

BEST = "best"  # the fastest of the peers that a row names


@dataclass(frozen=True)
class Row:
    """A workload beside ``peers``. targets: the largest ratio to reach (our time over the peer's), by peer or BEST.

    memory: whether our peak memory is to stay below that of PyTorch.
    """

    name: str
    peers: tuple[str, ...] = ("torch",)
    targets: dict[str, float] = field(default_factory=dict)
    memory: bool = False


ALL_PEERS = ("torch", "torch_compile", "jax")


def _rows() -> list[Row]:
    convolutions = [name for name in shapes.CONVOLUTIONS if name != "conv3x3"]
    return [
        Row("mlp", ("torch", "jax"), {"torch": 0.7, "jax": 0.8}),
        Row("gpt_small", targets={"torch": 0.6}),
        Row("gpt_medium", targets={"torch": 0.75}),
        Row("gpt2_train", targets={"torch": 0.65}, memory=True),
        Row("gpt2_prefill", targets={"torch": 0.8}),
        Row("gpt2_decode", targets={"torch": 0.8}),
        Row("cnn", targets={"torch": 0.65}),
        Row("lstm", targets={"torch": 0.8}),
        *(Row(name, targets={"torch": 1.0}) for name in WORKLOADS if name.startswith("matmul_")),
        Row("attention", targets={"torch": 0.5}),
        Row("attention_grad", targets={"torch": 0.45}),
        Row("attention_full", targets={"torch": 0.8}),
        Row("attention_full_grad", targets={"torch": 0.75}),
        Row("conv3x3", targets={"torch": 0.95}),
        Row("conv3x3_grad", targets={"torch": 0.8}),
        *(Row(f"{name}{end}", targets={"torch": 1.0}) for name in convolutions for end in ("", "_grad")),
        Row("softmax", targets={"torch": 0.6}),
        Row("layernorm", targets={"torch": 0.9}),
        Row("layernorm_grad", targets={"torch": 0.55}),
        Row("gelu_chain", ALL_PEERS, {BEST: 0.5}),
        Row("sum_rows", targets={"torch": 1.0}),
        Row("sum_cols", targets={"torch": 0.8}),
        Row("cross_entropy_grad", targets={"torch": 0.2}),
        Row("embedding_grad", ALL_PEERS, {BEST: 0.2}),
        Row("transpose_copy", ALL_PEERS, {BEST: 0.7}),
        Row("cumsum", ALL_PEERS, {BEST: 0.5}),
        Row("argmax", ALL_PEERS, {BEST: 0.2}),
        Row("adam", ALL_PEERS, {BEST: 0.95}),
    ]


ROWS = {row.name: row for row in _rows()}
