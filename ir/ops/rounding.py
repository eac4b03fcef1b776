"""Rounding of floats to whole numbers: floor ceil trunc round. Constant almost everywhere: no gradient."""

from __future__ import annotations

import numpy as np

from ir.ops.elementwise import FLOATS, ElementwiseOp

floor = ElementwiseOp("floor", np.floor, arity=1, accepts=FLOATS, doc="The largest whole number <= x.")
ceil = ElementwiseOp("ceil", np.ceil, arity=1, accepts=FLOATS, doc="The smallest whole number >= x.")
trunc = ElementwiseOp("trunc", np.trunc, arity=1, accepts=FLOATS, doc="x without its fraction.")
round = ElementwiseOp("round", np.rint, arity=1, accepts=FLOATS, doc="The nearest whole number, halves to even.")
