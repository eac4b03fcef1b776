"""Attention and Transformer layers equal PyTorch's: names, values, weights of attention, and all gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from tinygrad_like import Tensor, nn

torch = pytest.importorskip("torch", reason="the oracle torch is not installed")
tn = torch.nn

WIDTH, HEADS, BATCH, SOURCE, TARGET = 8, 2, 3, 5, 4
TOLERANCE = 1e-5  # of the largest element of what PyTorch gives


def equal_layers(ours: Any, theirs: Any, rng: np.random.Generator) -> None:
    """The same parameters for both, near PyTorch's initial ones; their names must agree."""
    for parameter in theirs.parameters():  # the norms' ones and zeros would hide mistakes
        parameter.data += 0.2 * torch.from_numpy(rng.standard_normal(parameter.shape).astype(np.float32))
    ours.load_state_dict({name: Tensor(value.numpy().copy()) for name, value in theirs.state_dict().items()})


def close(found: Tensor, expected: Any) -> None:
    expected = expected.detach().numpy()
    assert found.shape == expected.shape
    scale = np.abs(np.nan_to_num(expected)).max()
    np.testing.assert_allclose(found.numpy(), expected, rtol=TOLERANCE, atol=TOLERANCE * scale)


def compare(ours: Any, theirs: Any, inputs: list[np.ndarray], rng: np.random.Generator, masks: dict[str, Any]) -> None:
    """Values, and gradients of inputs and parameters, of both layers called with the same arguments."""
    mine = [Tensor(x, requires_grad=True) for x in inputs]
    others = [torch.from_numpy(x).requires_grad_() for x in inputs]
    found = ours(*mine, **{k: Tensor(v) if isinstance(v, np.ndarray) else v for k, v in masks.items()})
    expected = theirs(*others, **{k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in masks.items()})
    pairs = list(zip(found, expected, strict=True)) if isinstance(expected, tuple) else [(found, expected)]
    losses = [Tensor(0.0), torch.tensor(0.0)]
    for y, ty in pairs:
        if ty is None:
            assert y is None
            continue
        weight = rng.standard_normal(ty.shape).astype(np.float32)
        losses = [losses[0] + (y * Tensor(weight)).sum(), losses[1] + (ty * torch.from_numpy(weight)).sum()]
    losses[0].backward()
    losses[1].backward()
    values = [y for y, ty in pairs if ty is not None]
    gradients = {name: p.grad for name, p in ours.named_parameters()}
    Tensor.realize(*values, *(x.grad for x in mine), *gradients.values())  # one program instead of many
    for y, ty in pairs:
        if ty is not None:
            close(y, ty)
    for x, tx in zip(mine, others, strict=True):
        close(x.grad, tx.grad)
    theirs_by_name = dict(theirs.named_parameters())
    assert set(gradients) == set(theirs_by_name)
    for name, gradient in gradients.items():
        close(gradient, theirs_by_name[name].grad)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def blocked(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """A bool mask that leaves every query at least the first key."""
    mask = rng.random(shape) < 0.4
    mask[..., 0] = False
    return mask


PADDING = np.arange(SOURCE) >= np.array([[SOURCE], [2], [3]])  # [BATCH, SOURCE]
CAUSAL = np.triu(np.ones((TARGET, TARGET), bool), 1)


# ------------------------------------------------------------------------------------------- attention


class AttentionCase(NamedTuple):
    layer: dict[str, Any]
    call: Callable[[np.random.Generator], dict[str, Any]]
    batched: bool = True


ATTENTION = {
    "as it comes": AttentionCase({}, lambda rng: {}),
    "batch first, without bias": AttentionCase({"batch_first": True, "bias": False}, lambda rng: {}),
    "keys and values of other widths": AttentionCase({"kdim": 3, "vdim": 6}, lambda rng: {}),
    "values of another width, batch first": AttentionCase({"vdim": 6, "batch_first": True}, lambda rng: {}),
    "padding": AttentionCase({"batch_first": True}, lambda rng: {"key_padding_mask": PADDING}),
    "a bool mask": AttentionCase({}, lambda rng: {"attn_mask": blocked(rng, TARGET, SOURCE)}),
    "a mask of numbers": AttentionCase({}, lambda rng: {"attn_mask": normal(rng, TARGET, SOURCE)}),
    "a mask a head": AttentionCase({}, lambda rng: {"attn_mask": normal(rng, BATCH * HEADS, TARGET, SOURCE)}),
    "padding and a bool mask": AttentionCase(
        {}, lambda rng: {"attn_mask": blocked(rng, TARGET, SOURCE), "key_padding_mask": PADDING}),
    "padding and a mask, both of numbers": AttentionCase({}, lambda rng: {
        "attn_mask": normal(rng, TARGET, SOURCE), "key_padding_mask": np.where(PADDING, -np.inf, 0).astype("f")}),
    "weights of each head": AttentionCase({}, lambda rng: {"average_attn_weights": False}),
    "no weights": AttentionCase({}, lambda rng: {"need_weights": False}),
    "without a batch": AttentionCase({}, lambda rng: {"attn_mask": blocked(rng, TARGET, SOURCE)}, batched=False),
}


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_with_pytorchs_arguments(name, rng):
    case = ATTENTION[name]
    ours, theirs = nn.MultiheadAttention(WIDTH, HEADS, **case.layer), tn.MultiheadAttention(WIDTH, HEADS, **case.layer)
    equal_layers(ours, theirs, rng)
    widths = (WIDTH, case.layer.get("kdim", WIDTH), case.layer.get("vdim", WIDTH))
    inputs = []
    for time, width in zip((TARGET, SOURCE, SOURCE), widths, strict=True):
        shape = (BATCH, time, width) if case.layer.get("batch_first") else (time, BATCH, width)
        inputs.append(normal(rng, *(shape if case.batched else (time, width))))
    compare(ours, theirs, inputs, rng, case.call(rng))


def test_our_masks_allow_and_pytorchs_forbid(rng):
    ours, theirs = nn.MultiHeadAttention(WIDTH, HEADS), nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    x, forbidden = Tensor(normal(rng, BATCH, SOURCE, WIDTH)), blocked(rng, SOURCE, SOURCE)
    expected = theirs(x, x, x, attn_mask=Tensor(forbidden))[0].numpy()
    np.testing.assert_array_equal(ours(x, mask=Tensor(~forbidden)).numpy(), expected)


def test_a_causal_hint_beside_masks_hides_what_comes_later(rng):
    layer = nn.MultiHeadAttention(WIDTH, HEADS)
    x = Tensor(normal(rng, BATCH, SOURCE, WIDTH))
    weights = layer.attention_weights(x, is_causal=True, key_padding_mask=Tensor(PADDING)).numpy()
    assert (weights[:, :, np.triu(np.ones((SOURCE, SOURCE), bool), 1)] == 0).all()
    assert (weights[1, :, :, 2:] == 0).all() and (weights[0, :, 4, :] > 0).all()
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-6)
    np.testing.assert_array_equal(weights, layer.attention_weights(
        x, mask=nn.causal_mask(SOURCE), key_padding_mask=Tensor(PADDING)).numpy())


# ------------------------------------------------------------------------------------------- layers

SETTINGS = {
    "post-norm": {},
    "post-norm with gelu, batch first": {"activation": "gelu", "batch_first": True},
    "pre-norm": {"norm_first": True, "batch_first": True},
    "pre-norm without bias": {"norm_first": True, "bias": False, "layer_norm_eps": 1e-3},
}


def ordered(batch_first: bool, x: np.ndarray) -> np.ndarray:
    return x if batch_first else np.ascontiguousarray(x.swapaxes(0, 1))


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", SETTINGS)
def test_encoder_layer(name, mode, rng):
    options = {"dim_feedforward": 12, "dropout": 0.0 if mode == "train" else 0.5, **SETTINGS[name]}
    ours, theirs = nn.TransformerEncoderLayer(WIDTH, HEADS, **options), tn.TransformerEncoderLayer(
        WIDTH, HEADS, **options)
    equal_layers(ours, theirs, rng)
    getattr(ours, mode)(), getattr(theirs, mode)()
    x = ordered(options.get("batch_first", False), normal(rng, BATCH, SOURCE, WIDTH))
    compare(ours, theirs, [x], rng, {"src_key_padding_mask": PADDING, "src_mask": blocked(rng, SOURCE, SOURCE)})


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", SETTINGS)
def test_decoder_layer(name, mode, rng):
    options = {"dim_feedforward": 12, "dropout": 0.0 if mode == "train" else 0.5, **SETTINGS[name]}
    ours, theirs = nn.TransformerDecoderLayer(WIDTH, HEADS, **options), tn.TransformerDecoderLayer(
        WIDTH, HEADS, **options)
    equal_layers(ours, theirs, rng)
    getattr(ours, mode)(), getattr(theirs, mode)()
    inputs = [ordered(options.get("batch_first", False), normal(rng, BATCH, time, WIDTH)) for time in (TARGET, SOURCE)]
    masks = {"tgt_mask": CAUSAL, "memory_mask": normal(rng, TARGET, SOURCE), "memory_key_padding_mask": PADDING}
    if mode == "train":  # PyTorch wants masks of one kind
        masks["memory_key_padding_mask"] = np.where(PADDING, -np.inf, 0).astype(np.float32)
    else:
        masks["memory_mask"] = blocked(rng, TARGET, SOURCE)
    compare(ours, theirs, inputs, rng, masks)


@pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
def test_encoder_decoder(norm_first, rng):
    arguments = (WIDTH, HEADS, 2, 2, 12, 0.0)
    options = {"batch_first": True, "norm_first": norm_first}
    ours, theirs = nn.Transformer(*arguments, **options), tn.Transformer(*arguments, **options)
    equal_layers(ours, theirs, rng)
    inputs = [normal(rng, BATCH, time, WIDTH) for time in (SOURCE, TARGET)]
    compare(ours, theirs, inputs, rng, {
        "src_key_padding_mask": PADDING, "memory_key_padding_mask": PADDING, "tgt_mask": CAUSAL})


def test_the_causal_hint_is_the_causal_mask(rng):
    model = nn.Transformer(WIDTH, HEADS, 1, 1, 12, batch_first=True).eval()
    source, target = (Tensor(normal(rng, BATCH, time, WIDTH)) for time in (SOURCE, TARGET))
    hinted = model(source, target, tgt_is_causal=True).numpy()
    masked = model(source, target, tgt_mask=nn.Transformer.generate_square_subsequent_mask(TARGET)).numpy()
    np.testing.assert_allclose(hinted, masked, rtol=1e-6, atol=1e-6)
    assert np.abs(hinted - model(source, target).numpy()).max() > 1e-3


def test_the_subsequent_mask_is_pytorchs():
    expected = tn.Transformer.generate_square_subsequent_mask(5).numpy()
    np.testing.assert_array_equal(nn.Transformer.generate_square_subsequent_mask(5).numpy(), expected)


def test_stacks_copy_their_layer(rng):
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 12)
    encoder = nn.TransformerEncoder(layer, 3)
    names = set(tn.TransformerEncoder(tn.TransformerEncoderLayer(WIDTH, HEADS, 12), 3).state_dict())
    assert set(encoder.state_dict()) == names
    first, second = (encoder.layers[i].linear1.weight for i in range(2))
    np.testing.assert_array_equal(first.numpy(), second.numpy())
    second.assign(second + 1).realize()
    assert np.abs(first.numpy() - second.numpy()).min() > 0.9


def test_the_transformer_begins_as_pytorchs():
    Tensor.manual_seed(0)
    ours, theirs = nn.Transformer(32, 4, 2, 2, 64), tn.Transformer(32, 4, 2, 2, 64)
    expected = dict(theirs.named_parameters())
    found = dict(ours.named_parameters())
    assert {name: p.shape for name, p in found.items()} == {name: tuple(p.shape) for name, p in expected.items()}
    for name, parameter in found.items():
        wanted, got = expected[name].detach().numpy(), parameter.numpy()
        if wanted.ndim > 1:
            assert np.abs(got).max() == pytest.approx(np.abs(wanted).max(), rel=0.05)
        elif "norm" in name or "in_proj" in name:
            np.testing.assert_array_equal(got, wanted)
    assert np.abs(found["encoder.layers.0.linear1.weight"].numpy()
                  - found["encoder.layers.1.linear1.weight"].numpy()).max() > 0.01


def test_dropout_acts_in_training_only(rng):
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 12, dropout=0.3, batch_first=True)
    x = Tensor(normal(rng, BATCH, SOURCE, WIDTH))
    calm = layer.eval()(x).numpy()
    np.testing.assert_array_equal(layer(x).numpy(), calm)
    layer.train()
    first, second = layer(x).numpy(), layer(x).numpy()
    assert np.abs(first - second).max() > 1e-2 and np.abs(first - calm).max() > 1e-2


# ------------------------------------------------------------------------------------------- alignments


@pytest.mark.parametrize("with_values", [False, True])
def test_additive_attention(with_values, rng):
    layer = nn.AdditiveAttention(5, 7, hidden=6)
    query, key, value = normal(rng, 2, 3, 5), normal(rng, 2, 4, 7), normal(rng, 2, 4, 2)
    allowed = ~blocked(rng, 3, 4)
    values = (Tensor(value),) if with_values else (None,)
    context, weights = layer(Tensor(query), Tensor(key), *values, mask=Tensor(allowed))
    w, u, b, v = (p.numpy().astype(np.float64) for p in (
        layer.query.weight, layer.key.weight, layer.key.bias, layer.score.weight))
    scores = np.tanh((query @ w.T)[:, :, None] + (key @ u.T + b)[:, None]) @ v[0]
    exponentials = np.where(allowed, np.exp(scores), 0)
    expected = exponentials / exponentials.sum(-1, keepdims=True)
    np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(context.numpy(), expected @ (value if with_values else key), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("scaled", [False, True])
def test_dot_product_attention(scaled, rng):
    query, key = normal(rng, 2, 3, 5), normal(rng, 2, 4, 5)
    added = normal(rng, 3, 4)
    context, weights = nn.DotProductAttention(scaled)(Tensor(query), Tensor(key), mask=Tensor(added))
    expected = tn.functional.scaled_dot_product_attention(
        *map(torch.from_numpy, (query, key, key, added)), scale=None if scaled else 1.0)
    close(context, expected)
    np.testing.assert_allclose(weights.numpy().sum(-1), 1, rtol=1e-6)


# ------------------------------------------------------------------------------------------- mistakes

MISTAKES = {
    "num_heads=3 must divide embed_dim=8": lambda: nn.MultiheadAttention(8, 3),
    "a key of shape [batch, time, 3], got [2, 5, 8]": lambda: nn.MultiHeadAttention(8, 2, kdim=3)(
        Tensor.zeros(2, 4, 8), Tensor.zeros(2, 5, 8)),
    "'relu', 'gelu' or a function": lambda: nn.TransformerEncoderLayer(8, 2, activation="swish"),
    "attn_mask expects [queries, keys] or [batch * 2, queries, keys], got [3, 4, 4]": lambda: nn.MultiheadAttention(
        8, 2)(*[Tensor.zeros(4, 3, 8)] * 3, attn_mask=Tensor.zeros(3, 4, 4)),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_named(message):
    with pytest.raises(ValueError) as caught:
        MISTAKES[message]()
    assert message in str(caught.value)
