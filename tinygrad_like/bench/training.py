"""Training steps: forward, backward, update of every parameter, and the loss read back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tinygrad_like import nn
from tinygrad_like.bench import shapes
from tinygrad_like.bench.workload import Array, Call, Workload, floats, integers, named, together
from tinygrad_like.jit import jit
from tinygrad_like.models import CNN, GPT, MLP, GPTConfig
from tinygrad_like.nn.optim import Adam, AdamW, Optimizer
from tinygrad_like.tensor import Tensor


class LSTMModel(nn.Module):
    """A language model of one LSTM layer: tokens [batch, time] to logits [batch, time, vocabulary]."""

    def __init__(self, shape: shapes.LSTMShape) -> None:
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.lstm = nn.LSTM(shape.width, shape.width, batch_first=True)
        self.head = nn.Linear(shape.width, shape.vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.lstm(self.embedding(tokens))[0])


def make_gpt(shape: shapes.GPTShape) -> GPT:
    """The GPT of these sizes, with random weights."""
    return GPT(GPTConfig(shape.vocabulary, shape.context, shape.layers, shape.heads, shape.width))


def _step(loss_of: Callable[[Tensor, Tensor], Tensor], optimizer: Optimizer, x: Array, y: Array) -> Call:
    @jit
    def step(x: Tensor, y: Tensor) -> Tensor:
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    inputs, targets = Tensor(x).realize(), Tensor(y).realize()
    return lambda: step(inputs, targets).item()


def _classifier(make: Callable[[], nn.Module], x: Array, y: Array) -> Call:
    """Cross-entropy over the last dimension of what the model yields, by Adam."""
    model = make().train()

    def loss(x: Tensor, y: Tensor) -> Tensor:
        logits = model(x)
        return logits.reshape(-1, logits.shape[-1]).sparse_categorical_crossentropy(y.flatten())

    return _step(loss, Adam(list(model.parameters()), lr=shapes.ADAM_RATE), x, y)


def _gpt(shape: shapes.GPTShape, tokens: Array, targets: Array) -> Call:
    model = make_gpt(shape).train()
    return _step(model.loss, AdamW(list(model.parameters()), lr=shapes.ADAMW_RATE), tokens, targets)


def _gpt_workload(name: str, shape: shapes.GPTShape) -> Workload:
    size = (shape.batch, shape.time)
    return Workload(name, integers(shape.vocabulary, size, size), partial(_gpt, shape))


_MLP, _LSTM = shapes.MLP, shapes.LSTM

TRAINING = named([
    Workload("mlp", together(floats((_MLP.batch, _MLP.sizes[0])), integers(_MLP.sizes[-1], (_MLP.batch,))),
             partial(_classifier, lambda: MLP(_MLP.sizes))),
    Workload("cnn", together(floats(shapes.IMAGES), integers(10, shapes.IMAGES[:1])), partial(_classifier, CNN)),
    Workload("lstm", integers(_LSTM.vocabulary, (_LSTM.batch, _LSTM.time), (_LSTM.batch, _LSTM.time)),
             partial(_classifier, lambda: LSTMModel(_LSTM))),
    _gpt_workload("gpt_small", shapes.GPT_SMALL),
    _gpt_workload("gpt_medium", shapes.GPT_MEDIUM),
    _gpt_workload("gpt2_train", shapes.GPT2),
])
