"""The shapes of the workloads, for every framework that runs them; they stay, so that days can be compared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GPTShape:
    """A GPT and its batch: ``layers`` blocks of ``width`` with ``heads``, ``batch`` sequences of ``time`` tokens."""

    layers: int
    heads: int
    width: int
    context: int
    vocabulary: int
    batch: int
    time: int


@dataclass(frozen=True)
class LSTMShape:
    """A language model of one LSTM layer: ``batch`` sequences of ``time`` tokens, embedded in ``width`` numbers."""

    vocabulary: int
    width: int
    time: int
    batch: int


@dataclass(frozen=True)
class MLPShape:
    """A multi-layer perceptron with ReLU between layers of these sizes."""

    sizes: tuple[int, ...]
    batch: int


MLP = MLPShape(sizes=(784, 512, 512, 10), batch=128)
LSTM = LSTMShape(vocabulary=65, width=256, time=64, batch=32)
IMAGES = (128, 1, 28, 28)  # of the convolutional network
# nanoGPT's setting for a CPU, its setting for characters with a smaller batch, and GPT-2 124M.
GPT_SMALL = GPTShape(layers=4, heads=4, width=128, context=64, vocabulary=65, batch=12, time=64)
GPT_MEDIUM = GPTShape(layers=6, heads=6, width=384, context=256, vocabulary=65, batch=4, time=256)
GPT2 = GPTShape(layers=12, heads=12, width=768, context=1024, vocabulary=50257, batch=1, time=256)
PREFILL_TOKENS = 512
DECODE_PROMPT, DECODE_TOKENS = 64, 64

ADAM_RATE, ADAMW_RATE = 1e-3, 3e-4  # of the perceptron, the convolutional network and the LSTM; of the GPTs

# Single operations. Matmuls are (rows, columns, summed); the transposed forms are those of a layer's two gradients.
MATMULS = (
    (64, 64, 64), (128, 128, 128), (256, 256, 256), (512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048),
    (2048, 768, 768), (2048, 3072, 768), (2048, 768, 3072), (1024, 50257, 768), (8, 768, 768), (8, 3072, 768),
    (8, 768, 3072), (1, 3072, 768), (1, 50257, 768), (3072, 1, 768), (127, 255, 63), (1000, 1000, 1000), (3, 5000, 17),
    (1000, 3, 1000),
)
TRANSPOSED_MATMULS = (
    ("tn", 1024, 1024, 1024), ("nt", 1024, 1024, 1024), ("tn", 768, 3072, 2048), ("nt", 2048, 768, 3072),
    ("nt", 1, 50257, 768), ("nt", 1, 3072, 768), ("tn", 3072, 1, 768), ("tn", 2048, 2048, 2048),
    ("nt", 2048, 2048, 2048),
)
BATCHED_MATMULS = ((96, 64, 64, 32), (48, 256, 256, 64))  # with the number of products in front
MATRIX = (4096, 1024)  # of elementwise, row and column operations
ATTENTION = (2, 12, 512, 64)  # batch, heads, tokens, width of a head
CONVOLUTIONS = {  # images, filters, stride, padding; the images of "conv5x5_first" need no gradient
    "conv3x3": ((16, 64, 32, 32), (64, 64, 3, 3), 1, 1),
    "conv5x5_first": ((128, 1, 28, 28), (32, 1, 5, 5), 1, 0),
    "conv5x5": ((128, 32, 24, 24), (32, 32, 5, 5), 1, 0),
    "conv1x1": ((16, 64, 32, 32), (128, 64, 1, 1), 1, 0),
    "conv3x3_stride2": ((16, 64, 32, 32), (128, 64, 3, 3), 2, 1),
    "conv3x3_large": ((4, 64, 56, 56), (64, 64, 3, 3), 1, 1),
    "conv3x3_deep": ((4, 256, 16, 16), (256, 256, 3, 3), 1, 1),
}
TABLE, TOKENS = (50257, 256), (8, 512)
LOGITS = (512, 50257)
