"""Tensors: what they are, when they are computed, how gradients come about, and what the compiler makes of it all.

    python examples/tensors.py

Read it beside its output. Expected: a few seconds; the parabola fitted to noisy points has coefficients within 0.05 of
the true ones, 0.5, -1 and 2, and its 300 training steps are one compiled program.
"""

from __future__ import annotations

from tinygrad_like import Tensor, grad, jit, nn, vmap
from tinygrad_like.inspect import dump, explain


def headline(text: str) -> None:
    """A line between two chapters."""
    print(f"\n{'-' * 20} {text} {'-' * (90 - len(text))}")


def values_and_shapes() -> None:
    """A tensor is an array with one dtype; operations follow NumPy's rules of broadcasting."""
    headline("values and shapes")
    x = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    print(f"x = {x}, values {x.tolist()}")
    print(f"x + [10, 20, 30] = {(x + Tensor([10.0, 20.0, 30.0])).tolist()}")
    print(f"sum of each row = {x.sum(1).tolist()}, x xᵀ = {(x @ x.T).tolist()}")
    print(f"x[:, ::-1] = {x[:, ::-1].tolist()}, largest in each column at row {x.argmax(0).tolist()}")


def nothing_happens_until_asked() -> None:
    """An operation only notes what is to be done: a node of a graph. Reading the value compiles and runs that graph."""
    headline("lazy: a graph first")
    x = Tensor.rand(4, 8).realize()
    y = (x * 2 + 1).relu().sum(1)
    print("y = (x * 2 + 1).relu().sum(1) is this graph, and nothing has been computed:")
    print(dump(y, "graph"))
    print("One kernel will do: what stands between reading x and the sum lives in registers.")
    print(dump(y, "schedule"))
    print(f"y = {y.numpy().round(2)}")


def gradients_are_graphs_too() -> None:
    """``backward`` adds the gradient's nodes to the graph; ``grad`` and others transform functions."""
    headline("gradients")
    w = Tensor([0.5, -1.0, 2.0], requires_grad=True)
    loss = (w * Tensor([1.0, 2.0, 3.0])).sigmoid().sum()
    loss.backward()
    assert w.grad is not None
    print(f"d loss / d w = {w.grad.numpy().round(4)}")

    def cube(x: Tensor) -> Tensor:
        return x * x * x

    print(f"cube at 2: {cube(Tensor(2.0)).item()}, slope {grad(cube)(Tensor(2.0)).item()}, "
          f"slope of the slope {grad(grad(cube))(Tensor(2.0)).item()}")
    print(f"slopes at 1, 2, 3 by vmap: {vmap(grad(cube))(Tensor([1.0, 2.0, 3.0])).tolist()}")


def fit_a_parabola(steps: int = 300) -> list[float]:
    """A model, an optimizer and a compiled training step: all that the other examples are made of."""
    headline("fitting a parabola")
    Tensor.manual_seed(0)
    x = Tensor.uniform(200, low=-2.0, high=2.0).realize()
    y = (0.5 - x + 2 * x * x + 0.1 * Tensor.randn(200)).realize()
    coefficients = Tensor([0.0, 0.0, 0.0], requires_grad=True)
    optimizer = nn.optim.Adam([coefficients], lr=0.1)

    @jit
    def step() -> Tensor:
        """Forward, backward and update as one native program; compiled at the first call, only run at the others."""
        powers = Tensor.stack(x.ones_like(), x, x * x)
        loss = (coefficients @ powers - y).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.realize()

    for i in range(steps):
        loss = step().item()
        if i in (0, 9, 99, steps - 1):
            print(f"step {i + 1:3}  loss {loss:.4f}  coefficients {coefficients.numpy().round(3)}")
    print(f"programs compiled: {len(step.programs)}, for {steps} steps")
    return coefficients.tolist()


def why_these_kernels() -> None:
    """``explain`` says for each kernel why it ends where it does, what it reads and writes, and which line asked."""
    headline("why these kernels")
    x, w = Tensor.rand(64, 128).realize(), Tensor.rand(128, 32).realize()
    print(explain((x @ w).softmax()))
    print("Look further with dump(x, stage), stage one of graph, schedule, loops, llvm, asm and cuda.")


def main() -> int:
    values_and_shapes()
    nothing_happens_until_asked()
    gradients_are_graphs_too()
    fit_a_parabola()
    why_these_kernels()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
