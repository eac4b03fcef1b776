"""Checkpoints of PyTorch, read without it."""

from __future__ import annotations

import pickle
import zipfile

import numpy as np
import pytest

from tinygrad_like import Tensor, dtypes, nn
from tinygrad_like.io import InputError
from tinygrad_like.models.resnet import BasicBlock, ResNet
from tinygrad_like.nn.state import torch_load

torch = pytest.importorskip("torch", reason="PyTorch, which writes these files, is not installed")


def test_every_dtype_view_and_nest(tmp_path):
    base = torch.arange(24).reshape(4, 6)
    saved = {"views": [base.t()[1:, ::2], base[2], torch.tensor(3.5)], "n": 7, "text": ("a", None, True),
             "parameter": torch.nn.Parameter(torch.ones(2, 3)), "empty": torch.zeros(0, 3), "shape": base.shape,
             **{str(d): base.to(d) for d in (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8,
                                             torch.int8, torch.int16, torch.int32, torch.int64, torch.bool)}}
    torch.save(saved, tmp_path / "x.pt")
    found = torch_load(tmp_path / "x.pt")
    for one, other in zip(found["views"], saved["views"], strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert found["n"] == 7 and found["text"] == ("a", None, True) and found["shape"] == (4, 6)
    assert found["empty"].shape == (0, 3) and found["parameter"].tolist() == [[1, 1, 1]] * 2
    for name, value in saved.items():
        if name.startswith("torch."):
            assert found[name].dtype.name == name.removeprefix("torch.")
            np.testing.assert_array_equal(found[name].float().numpy(), value.float().numpy())
    assert found["torch.bfloat16"].dtype == dtypes.bfloat16


def test_a_checkpoint_of_a_model_loads(tmp_path):
    ours, theirs = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm(4)), torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    torch.save(theirs.state_dict(), tmp_path / "model.pth")
    report = ours.load_state_dict(torch_load(tmp_path / "model.pth"))
    assert len(report.matched_keys) == 7
    x = np.ones((2, 3), np.float32)
    np.testing.assert_allclose(ours.eval()(Tensor(x)).numpy(), theirs.eval()(torch.tensor(x)).detach().numpy(),
                               rtol=1e-5, atol=1e-6)


def test_torch_reads_the_names_that_a_residual_network_has(tmp_path):
    network = ResNet(BasicBlock, (1, 1), 3, "cifar", 4)
    state = {name: torch.tensor(value.numpy()) for name, value in network.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "r.pth")
    other = ResNet(BasicBlock, (1, 1), 3, "cifar", 4)
    other.load_state_dict(torch_load(tmp_path / "r.pth")["state_dict"])
    np.testing.assert_array_equal(other.layer2[0].downsample[0].weight.numpy(),
                                  network.layer2[0].downsample[0].weight.numpy())


class Evil:
    def __reduce__(self):
        return print, ("this must not run",)


def test_nothing_in_a_file_is_run(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "evil.pt", "w") as archive:
        archive.writestr("evil/data.pkl", pickle.dumps({"x": Evil()}))
    with pytest.raises(InputError, match=r"evil.pt holds builtins.print, which is neither a tensor nor plain data"):
        torch_load(tmp_path / "evil.pt")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"model.pt holds torch.nn.*save model.state_dict\(\)"):
        torch_load(tmp_path / "model.pt")
    assert "must not run" not in capsys.readouterr().out


def test_damaged_files_are_named(tmp_path):
    torch.save({"x": torch.ones(100)}, tmp_path / "x.pt")
    content = (tmp_path / "x.pt").read_bytes()
    (tmp_path / "short.pt").write_bytes(content[: len(content) // 2])
    (tmp_path / "other.pt").write_bytes(b"hello")
    for name, message in (("short.pt", "damaged"), ("other.pt", "68 65 6c 6c, not with a zip"), ("none.pt", "none.pt")):
        with pytest.raises(InputError, match=message):
            torch_load(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "x.pt") as archive, zipfile.ZipFile(tmp_path / "cut.pt", "w") as cut:
        for name in archive.namelist():
            data = archive.read(name)
            cut.writestr(name, data[:40] if "/data/" in name else data)
    with pytest.raises(InputError, match="storage 0 has 10 elements instead of 100"):
        torch_load(tmp_path / "cut.pt")
