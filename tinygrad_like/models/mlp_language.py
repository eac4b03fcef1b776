"""A language model that is a multilayer perceptron: the first neural one."""

from __future__ import annotations

import math

from tinygrad_like import nn
from tinygrad_like.nn import init
from tinygrad_like.tensor import Tensor


class MLPLanguageModel(nn.Module):
    """The last ``context`` token ids [batch, context] to the logits of the next one, [batch, vocabulary].

    Each token becomes a vector of ``width`` numbers; all vectors in a row are the input of one hidden layer with tanh.
    Source: Bengio et al., "A Neural Probabilistic Language Model", 2003. The initial weights leave tanh unsaturated
    and make the first logits near 0, so that training starts at the loss of a guess, log(vocabulary).

    >>> MLPLanguageModel(vocabulary=27, context=3)(Tensor([[0, 5, 13]])).shape
    (1, 27)
    """

    def __init__(self, vocabulary: int, context: int, width: int = 10, hidden: int = 200) -> None:
        self.context = context
        self.embedding = nn.Embedding(vocabulary, width)
        self.hidden, self.head = nn.Linear(context * width, hidden), nn.Linear(hidden, vocabulary)
        init.normal_(self.hidden.weight, std=5 / 3 / math.sqrt(context * width))  # tanh's gain (He et al., 2015)
        init.normal_(self.hidden.bias, std=0.01)
        init.normal_(self.head.weight, std=0.01)
        init.constant_(self.head.bias, 0.0)
        Tensor.realize(*self.parameters())

    def forward(self, tokens: Tensor) -> Tensor:
        if tokens.ndim != 2 or tokens.shape[1] != self.context:
            raise ValueError(f"MLPLanguageModel expects [batch, {self.context}] tokens, got {list(tokens.shape)}")
        return self.head(self.hidden(self.embedding(tokens).flatten(1)).tanh())

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """The mean cross-entropy in nats of the next tokens ``targets`` [batch]."""
        return self(tokens).sparse_categorical_crossentropy(targets)
