"""State dicts: collecting, loading, files."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import numpy as np
import pytest

from ir import dtypes
from tinygrad_like import Tensor, nn
from tinygrad_like.io import InputError
from tinygrad_like.nn import state


class Plain:
    """No Module: any object will do."""

    def __init__(self):
        self.first = nn.Linear(2, 3)
        self.rest = [nn.Linear(3, 3), (Tensor.zeros(1), "text", None)]
        self.table = {"x": Tensor.ones(2), 5: Tensor.ones(3)}
        self.ordered = OrderedDict(y=Tensor.zeros(4))
        self.pair = namedtuple("Pair", "left right")(Tensor.zeros(5), Tensor.zeros(6))
        self.function = lambda x: x


def test_plain_objects_are_walked():
    assert list(state.get_state_dict(Plain())) == [
        "first.weight", "first.bias", "rest.0.weight", "rest.0.bias", "rest.1.0", "table.x", "table.5", "ordered.y",
        "pair.left", "pair.right"]
    assert len(state.get_parameters(Plain())) == 10
    assert list(state.get_state_dict(nn.Linear(1, 1), "model.")) == ["model.weight", "model.bias"]
    assert list(state.get_state_dict(Tensor.zeros(1), "x")) == ["x"]


def test_loading_copies_in_place():
    source, target = nn.Linear(2, 3), nn.Linear(2, 3)
    weight = target.weight
    loaded = state.load_state_dict(target, state.get_state_dict(source), verbose=False)
    assert loaded[0] is weight is target.weight
    np.testing.assert_array_equal(target.weight.numpy(), source.weight.numpy())
    source.weight.assign(Tensor.zeros(3, 2)).realize()
    assert np.abs(target.weight.numpy()).max() > 0


def test_loading_converts_dtypes_and_single_elements():
    target = nn.BatchNorm(2)
    values = {name: tensor.numpy().astype(np.float64) for name, tensor in target.state_dict().items()}
    values["weight"] = np.array([2.0, 3.0])
    values["num_batches_tracked"] = np.array([7])
    state.load_state_dict(target, values)
    assert target.weight.dtype == dtypes.float32 and target.weight.tolist() == [2.0, 3.0]
    assert target.num_batches_tracked.item() == 7


@pytest.mark.parametrize("strict", [True, False])
def test_a_shape_that_differs_changes_nothing(strict):
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = [p.numpy() for p in model.parameters()]
    values = {**nn.Sequential(nn.Linear(2, 3)).state_dict(), "1.weight": Tensor.zeros(2, 2), "1.bias": Tensor.zeros(1)}
    with pytest.raises(ValueError, match=r"1.weight has shape \(1, 3\) in the model and \(2, 2\) in the state"):
        model.load_state_dict(values, strict=strict)
    for old, new in zip(before, model.parameters(), strict=True):
        np.testing.assert_array_equal(old, new.numpy())


def test_strict_names_what_is_missing_and_what_is_too_much():
    model = nn.Linear(2, 3)
    with pytest.raises(ValueError, match=r"lacks 1 .* first bias .*has 1 tensors that the model lacks, first biass"):
        model.load_state_dict({"weight": model.weight, "biass": Tensor.zeros(3)})
    report = model.load_state_dict({"weight": Tensor.ones(3, 2), "biass": Tensor.zeros(3)}, strict=False)
    assert report.missing_keys == ["bias"] and report.unexpected_keys == ["biass"]
    assert model.weight.numpy().min() == 1
    with pytest.raises(ValueError, match="nearest there is biass"):
        state.load_state_dict(model, {"weight": model.weight, "biass": Tensor.zeros(3)})
    # tinygrad passes over what the model does not know
    assert len(state.load_state_dict(model, {**model.state_dict(), "more": Tensor.zeros(1)})) == 2


def test_consume_empties_the_state():
    values = nn.Linear(2, 3).state_dict()
    state.load_state_dict(nn.Linear(2, 3), values, consume=True)
    assert values == {}


def test_safetensors_round_trip_of_every_dtype(tmp_path):
    names = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
    tensors = {name: Tensor([0, 1, 1, 0, 1, 1]).reshape(2, 3).cast(getattr(dtypes, name)) for name in names}
    state.safe_save(tensors, tmp_path / "all.safetensors", {"made": "here"})
    loaded, metadata = state.safe_load_with_metadata(tmp_path / "all.safetensors")
    assert set(loaded) == set(names) and metadata == {"made": "here"}
    for name, tensor in loaded.items():
        assert tensor.dtype == tensors[name].dtype and tensor.shape == (2, 3)
        np.testing.assert_array_equal(tensor.float().numpy(), tensors[name].float().numpy())


def test_a_model_comes_back_from_its_file(tmp_path):
    source, target = (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm(3)) for _ in range(2))
    state.safe_save(source.state_dict(), tmp_path / "model.safetensors")
    state.load_file(target, tmp_path / "model.safetensors")
    for name, tensor in source.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), target.state_dict()[name].numpy())


def test_torch_reads_our_files(tmp_path):
    oracle = pytest.importorskip("safetensors.torch", reason="the oracle safetensors or torch is not installed")
    tensors = {"a": Tensor([[1.5, 2.0]]), "b": Tensor([1.5, -2.0]).cast(dtypes.bfloat16)}
    state.safe_save(tensors, tmp_path / "x.safetensors")
    loaded = oracle.load_file(tmp_path / "x.safetensors")
    assert loaded["a"].tolist() == [[1.5, 2.0]] and loaded["b"].tolist() == [1.5, -2.0]
    assert str(loaded["b"].dtype) == "torch.bfloat16"
    oracle.save_file(loaded, tmp_path / "y.safetensors")
    assert state.safe_load(tmp_path / "y.safetensors")["b"].float().tolist() == [1.5, -2.0]


def test_a_file_of_another_model_is_named(tmp_path):
    state.safe_save(nn.Linear(2, 3).state_dict(), tmp_path / "x.safetensors")
    with pytest.raises(InputError, match=r"x.safetensors: .*lacks 2 of the model's tensors"):
        state.load_file(nn.Sequential(nn.Linear(2, 3)), tmp_path / "x.safetensors")
    with pytest.raises(InputError, match="x.safetensors: weight has shape"):
        state.load_file(nn.Linear(3, 3), tmp_path / "x.safetensors")
