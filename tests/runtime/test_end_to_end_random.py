"""Random graphs of elementwise ops, views, reductions, products, gathers and assignments: the CPU vs the reference."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import prod

import numpy as np
import pytest

import ir
from ir import Node, dtypes

Agree = Callable[..., list[np.ndarray]]


class Grower:
    """A pool of values; ``grow`` adds one more, of at most ``largest`` elements, made of those that are there."""

    def __init__(self, leaves: list[Node], generator: random.Random, largest: int = 4000) -> None:
        self.leaves, self.pool, self.random, self.largest = leaves, list(leaves), generator, largest
        self.versions = {leaf: leaf for leaf in leaves}

    def pick(self) -> Node:
        """Any value, recent ones more often."""
        recent = self.pool[-6:] if self.random.random() < 0.7 else self.pool
        return self.random.choice(recent)

    def grow(self) -> None:
        makers = [self.unary, self.unary, self.binary, self.binary, self.select, self.movement, self.movement,
                  self.joined, self.reduction, self.repeated, self.product, self.gathered, self.converted]
        made = self.random.choice(makers)(self.pick())
        if made is not None and 0 < prod(made.shape) <= self.largest and len(made.shape) <= 5:
            self.pool.append(made)

    def unary(self, x: Node) -> Node:
        return self.random.choice([ir.tanh, ir.neg, ir.sin, ir.abs, ir.erf, self.steps])(x)

    def steps(self, x: Node) -> Node:
        """A staircase whose edges are not where tanh and erf end."""
        return ir.floor(ir.add(ir.mul(x, ir.constant_like(x, 3.7)), ir.constant_like(x, 0.21)))

    def matching(self, x: Node) -> Node:
        """A value of the shape of ``x``."""
        candidates = [y for y in self.pool if y.shape == x.shape]
        return self.random.choice(candidates)

    def binary(self, x: Node) -> Node:
        y = self.matching(x)
        return self.random.choice([ir.add, ir.sub, ir.maximum, ir.minimum, lambda a, b: ir.mul(a, ir.tanh(b))])(x, y)

    def select(self, x: Node) -> Node:
        other = self.matching(x)
        apart = ir.add(other, ir.constant_like(x, 0.317))  # else tanh(x) < x hangs on the last bit where x is small
        return ir.where(ir.less(apart, x), x, self.matching(x))

    def movement(self, x: Node) -> Node:
        axes = list(range(len(x.shape)))
        kind = self.random.randrange(7)
        if kind == 0:
            self.random.shuffle(axes)
            return ir.permute(x, axes)
        if kind == 1:
            return ir.flip(x, self.random.sample(axes, self.random.randint(0, len(axes))))
        if kind == 2:
            return ir.pad(x, [(self.random.randint(0, 2), self.random.randint(0, 2)) for _ in axes], fill=0.5)
        if kind == 3:
            ranges = []
            for size in x.shape:
                start = self.random.randrange(size)
                ranges.append((start, self.random.randint(start + 1, size), self.random.choice([1, 1, 2, 3])))
            return ir.slice(x, ranges)
        if kind == 4 and axes and max(x.shape) >= 2:
            axis = self.random.choice([a for a in axes if x.shape[a] >= 2])
            return ir.window(x, axis, 2, self.random.choice([1, 2]), 1, self.random.randint(0, 1), 0, 0.0)
        return self.reshaped(x)

    def reshaped(self, x: Node) -> Node:
        """Another shape of the same size: some axes joined, some split."""
        factors: list[int] = []
        rest = prod(x.shape)
        while rest > 1:
            factor = self.random.choice([d for d in range(1, rest + 1) if rest % d == 0])
            if factor > 1:
                factors.append(factor)
                rest //= factor
            if len(factors) == 3 and rest > 1:
                factors.append(rest)
                break
        return ir.reshape(x, factors or [1])

    def joined(self, x: Node) -> Node | None:
        if not x.shape:
            return None
        axis = self.random.randrange(len(x.shape))
        return ir.concat([x, self.matching(x), ir.flip(x, (axis,))][: self.random.randint(2, 3)], axis)

    def reduction(self, x: Node) -> Node | None:
        if not x.shape:
            return None
        axes = sorted(self.random.sample(range(len(x.shape)), self.random.randint(1, len(x.shape))))
        made = ir.reduce(self.random.choice(["sum", "sum", "max", "min"]), x, axes)
        return ir.tanh(made) if self.random.random() < 0.5 else made

    def repeated(self, x: Node) -> Node:
        axis = self.random.randint(0, len(x.shape))
        shape = [*x.shape[:axis], 1, *x.shape[axis:]]
        wide = [*x.shape[:axis], self.random.randint(2, 5), *x.shape[axis:]]
        return ir.expand(ir.reshape(x, shape), wide)

    def product(self, x: Node) -> Node | None:
        """A sum of products over the last axis with some value that has this axis too."""
        partners = [y for y in self.pool if x.shape and y.shape and y.shape[-1] == x.shape[-1]]
        if not partners:
            return None
        y = self.random.choice(partners)
        rows, columns, k = prod(x.shape[:-1]), prod(y.shape[:-1]), x.shape[-1]
        if rows * columns * k > 8 * self.largest:
            return None
        left = ir.expand(ir.reshape(ir.tanh(x), (rows, 1, k)), (rows, columns, k))
        right = ir.expand(ir.reshape(ir.tanh(y), (1, columns, k)), (rows, columns, k))
        return ir.reduce("sum", ir.mul(left, right), (2,))

    def gathered(self, x: Node) -> Node | None:
        if not x.shape:
            return None
        count = self.random.randint(1, 6)
        index = ir.mul(ir.iota(count), ir.constant(self.random.randint(1, 3), dtypes.int32, (count,)))
        if self.random.random() < 0.5:
            return ir.gather(x, index)
        updates = ir.gather(x, index)
        return ir.scatter(x, index, updates, mode=self.random.choice(["add", "set", "max"]))

    def converted(self, x: Node) -> Node:
        scaled = ir.mul(ir.sin(x), ir.constant_like(x, 37.3))  # seldom within rounding of an integer
        return ir.cast(ir.cast(scaled, self.random.choice([dtypes.int32, dtypes.int8, dtypes.int64])), dtypes.float32)

    def assignment(self) -> None:
        """A new version of a leaf, of whatever value has its shape."""
        leaf = self.random.choice(self.leaves)
        candidates = [y for y in self.pool if y.shape == leaf.shape]
        self.versions[leaf] = ir.assign(self.versions[leaf], self.random.choice(candidates))
        self.pool.append(self.versions[leaf])


SHAPES = [(4,), (3, 4), (2, 3, 4), (8, 5), (16,), (1, 7), (5, 1, 3), (33,), (12, 17)]


LARGE_SHAPES = [(64, 48), (48,), (130, 33), (3, 40, 50), (700,), (48, 64), (33,), (2, 96, 40)]


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs(agree: Agree, seed: int) -> None:
    check_random_graph(agree, seed, SHAPES, 4000)


@pytest.mark.parametrize("seed", range(25))
def test_random_graphs_of_larger_values(agree: Agree, seed: int) -> None:
    check_random_graph(agree, seed, LARGE_SHAPES, 200_000)


@pytest.mark.parametrize("seed", [175, 288, 2104])
def test_random_graphs_that_once_failed(agree: Agree, seed: int) -> None:
    check_random_graph(agree, seed, SHAPES, 4000)


def test_a_reduction_over_lanes_and_an_outer_loop_keeps_both(agree: Agree) -> None:
    def build(x: Node) -> list[Node]:
        parts = ir.reshape(ir.window(ir.add(x, x), 0, 2, 2, 1, 0, 0, 0.0), (2, 5, 4))
        return [ir.reduce("sum", parts, (0, 1)), ir.reduce("max", parts, (1, 2))]

    agree(build, np.arange(40, dtype=np.float32).reshape(8, 5))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1400))
def test_many_random_graphs(agree: Agree, seed: int) -> None:
    check_random_graph(agree, seed, SHAPES, 4000)


def check_random_graph(agree: Agree, seed: int, all_shapes: list[tuple[int, ...]], largest: int) -> None:
    generator = random.Random(seed)
    numbers = np.random.default_rng(seed)
    shapes = generator.sample(all_shapes, 3)

    def build(*leaves: Node) -> list[Node]:
        grower = Grower(list(leaves), generator, largest)
        for _ in range(generator.randint(3, 30)):
            grower.grow()
        made = [node for node in grower.pool if node not in leaves]
        return list(dict.fromkeys([made[-1], *generator.sample(made, min(3, len(made)))])) if made else [leaves[0]]

    agree(build, *(numbers.standard_normal(shape).astype(np.float32) for shape in shapes))


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_of_reads_views_and_assigns(agree: Agree, seed: int) -> None:
    generator = random.Random(seed)
    numbers = np.random.default_rng(seed)
    shapes = [generator.choice(SHAPES)] * 2 + [generator.choice(SHAPES)]

    def build(*leaves: Node) -> list[Node]:
        grower = Grower(list(leaves), generator)
        for _ in range(generator.randint(1, 5)):
            for _ in range(generator.randint(0, 4)):
                grower.grow()
            grower.assignment()
        others = [node for node in grower.pool if node.op.name not in ("assign", "buffer")]
        newest = [version for leaf, version in grower.versions.items() if version is not leaf]
        return list(dict.fromkeys([*newest, *generator.sample(others, min(2, len(others)))]))

    agree(build, *(numbers.standard_normal(shape).astype(np.float32) for shape in shapes))
