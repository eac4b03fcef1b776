"""Scripts in tinygrad's style, written as its users write them: with this package they run by changing the import.

Each is run with our import; with tinygrad's own the same text gives the same numbers where it needs no compiler.
"""

from __future__ import annotations

import contextlib
import io
import textwrap

import numpy as np
import pytest

SCRIPTS = {
    "quickstart": """
        from tinygrad import Tensor, nn
        from tinygrad import TinyJit
        import numpy as np

        class TinyNet:
            def __init__(self):
                self.l1 = nn.Linear(16, 32, bias=False)
                self.l2 = nn.Linear(32, 4, bias=False)

            def __call__(self, x):
                x = self.l1(x)
                x = x.leaky_relu()
                return self.l2(x)

        Tensor.manual_seed(0)
        net = TinyNet()
        opt = nn.optim.SGD([net.l1.weight, net.l2.weight], lr=0.3)
        X = np.random.default_rng(0).standard_normal((256, 16)).astype(np.float32)
        Y = (X[:, :4]).argmax(1)
        with Tensor.train():
            for step in range(100):
                samp = np.random.default_rng(step).integers(0, 256, size=(64))
                batch = Tensor(X[samp])
                labels = Tensor(Y[samp])
                out = net(batch)
                loss = out.sparse_categorical_crossentropy(labels)
                opt.zero_grad()
                loss.backward()
                opt.step()
                pred = out.argmax(axis=-1)
                acc = (pred == labels).mean()
        print("accuracy", acc.numpy() > 0.6)

        @TinyJit
        def jit(x):
            return net(x).realize()
        for step in range(3):
            out = jit(Tensor(X[:64])).argmax(axis=-1).numpy()
        print("evaluation", (out == Y[:64]).mean() > 0.6)
        """,
    "beautiful mnist in small": """
        from typing import Callable
        from tinygrad import Tensor, TinyJit, nn, GlobalCounters
        from tinygrad.helpers import getenv, colored, trange

        class Model:
            def __init__(self):
                self.layers: list[Callable[[Tensor], Tensor]] = [
                    nn.Conv2d(1, 8, 5), Tensor.relu,
                    nn.Conv2d(8, 8, 3), Tensor.relu,
                    nn.BatchNorm(8), Tensor.max_pool2d,
                    lambda x: x.flatten(1), nn.Linear(72, 4)]

            def __call__(self, x: Tensor) -> Tensor: return x.sequential(self.layers)

        Tensor.manual_seed(1)
        X_train = Tensor.randint(256, 1, 12, 12, low=0, high=255).float() / 255
        Y_train = (X_train[:, 0, :6, :6].mean((1, 2)) > 0.5).cast("int32") + 2 * (
            X_train[:, 0, 6:, 6:].mean((1, 2)) > 0.5).cast("int32")
        Tensor.realize(X_train, Y_train)
        model = Model()
        opt = (nn.optim.Adam if not getenv("MUON") else nn.optim.Muon)(nn.state.get_parameters(model), lr=0.003)

        @TinyJit
        @Tensor.train()
        def train_step() -> Tensor:
            opt.zero_grad()
            samples = Tensor.randint(getenv("BS", 64), high=X_train.shape[0])
            loss = model(X_train[samples]).sparse_categorical_crossentropy(Y_train[samples]).backward()
            return loss.realize(*opt.schedule_step())

        @TinyJit
        def get_test_acc() -> Tensor: return (model(X_train).argmax(axis=1) == Y_train).mean() * 100

        first = last = None
        for i in (t := trange(150, disable=True)):
            GlobalCounters.reset()
            loss = train_step()
            first = loss.item() if first is None else first
            last = loss.item()
            t.set_description(f"loss: {loss.item():6.2f}")
        assert GlobalCounters.kernel_count > 0 and GlobalCounters.global_ops > 0
        print("lower", last < first * 0.7, get_test_acc().item() > 50, len(colored("x", "green")) > 0)
        """,
    "gradients and control": """
        from tinygrad import Tensor, Context, Device, dtypes, Variable

        x = Tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
        y = Tensor([[2.0, 0, -2.0]])
        z = y.matmul(x).sum()
        z.backward()
        print(x.grad.tolist())
        print(y.grad.tolist())
        with Context(DEBUG=0):
            print((Tensor.arange(10).reshape(2, 5)[:, 1:4] * 2).tolist(), Device.DEFAULT == Device.canonicalize(None))
        print(dtypes.is_float(dtypes.float16), dtypes.int.itemsize, dtypes.float32.name)
        """,
    "a state saved and loaded": """
        import os, tempfile
        from tinygrad import Tensor, nn
        from tinygrad.nn.state import safe_save, safe_load, get_state_dict, load_state_dict, get_parameters

        net = [nn.Linear(3, 4), Tensor.relu, nn.LayerNorm(4)]
        path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
        safe_save(get_state_dict(net), path)
        other = [nn.Linear(3, 4), Tensor.relu, nn.LayerNorm(4)]
        load_state_dict(other, safe_load(path), verbose=False)
        x = Tensor([[0.1, 0.2, 0.3]])
        print(sorted(get_state_dict(net)), len(get_parameters(net)))
        print((x.sequential(net) == x.sequential(other)).all().item())
        """,
    "attention by hand": """
        from tinygrad import Tensor, dtypes
        import math

        def attention(q, k, v):
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
            mask = Tensor.full((1, 1, q.shape[-2], k.shape[-2]), float("-inf")).triu(1)
            return (scores + mask).softmax(-1) @ v

        q, k, v = (Tensor(list(range(i, i + 24))).reshape(1, 2, 4, 3).cast(dtypes.float32) / 24 for i in range(3))
        ours = attention(q, k, v)
        built_in = q.scaled_dot_product_attention(k, v, is_causal=True)
        print((ours - built_in).abs().max().item() < 1e-5, ours.shape)
        print([round(n, 4) for n in ours.flatten().tolist()[:6]])
        """,
}
NOT_INTERPRETED = {  # tinygrad needs a compiler for these
    "quickstart", "beautiful mnist in small", "a state saved and loaded", "gradients and control",
}


def run(name: str, package: str) -> str:
    text = textwrap.dedent(SCRIPTS[name]).replace("tinygrad", package)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(text, f"<{name}>", "exec"), {"__name__": "__main__"})
    return output.getvalue()


@pytest.mark.parametrize("name", SCRIPTS)
def test_runs_by_changing_the_import(name):
    printed = run(name, "tinygrad_like")
    assert printed and "False" not in printed
    if name == "gradients and control":
        assert printed.startswith("[[2.0, 2.0, 2.0], [0.0, 0.0, 0.0], [-2.0, -2.0, -2.0]]\n[[1.0, 1.0, 1.0]]\n")
    if name in NOT_INTERPRETED:
        return
    tinygrad = pytest.importorskip("tinygrad", reason="tinygrad, which runs the same script, is not installed")
    with tinygrad.Context(DEV="PYTHON"):
        assert printed == run(name, "tinygrad")


def test_helpers(capsys, monkeypatch):
    from tinygrad_like.helpers import Timing, colored, flatten, getenv, prod, tqdm, trange

    monkeypatch.setenv("STEPS", "7")
    assert getenv("STEPS", 70) == 7 and getenv("STEPS_NOT_SET", 2.5) == 2.5 and getenv("STEPS", "") == "7"
    assert prod((2, 3, 4)) == 24 and prod(()) == 1 and flatten([[1], [2, 3]]) == [1, 2, 3]
    with Timing("loading: ") as timing:
        pass
    assert capsys.readouterr().out.startswith("loading: ") and timing.milliseconds >= 0
    assert list(trange(3, disable=True)) == [0, 1, 2]
    assert list(tqdm([5, 6], desc="reading", disable=False)) == [5, 6]
    assert "reading 2/2" in capsys.readouterr().err
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert colored("x", "red") == "\x1b[31mx\x1b[0m" and colored("x", None) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert colored("x", "RED") == "x"


def test_counters_have_tinygrads_names():
    from tinygrad_like import GlobalCounters, Tensor

    x = Tensor(np.ones((64, 64), np.float32)).realize()
    GlobalCounters.reset()
    (x @ x).realize()
    assert GlobalCounters.kernel_count == GlobalCounters.kernels >= 1
    assert GlobalCounters.global_ops == GlobalCounters.operations >= 2 * 64**3
    assert GlobalCounters.global_mem == GlobalCounters.bytes_moved > 0
    assert GlobalCounters.time_sum_s == GlobalCounters.seconds >= 0 and GlobalCounters.mem_used > 0
