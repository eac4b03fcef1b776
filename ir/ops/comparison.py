"""Comparisons of equally typed operands, with bool results: less less_equal equal not_equal.

NaN is unequal to everything and neither less nor greater. (x > y is less(y, x).)
"""

from __future__ import annotations

import numpy as np

from ir.dtype import dtypes
from ir.ops.elementwise import ANY, ElementwiseOp

less = ElementwiseOp("less", np.less, arity=2, accepts=ANY, returns=dtypes.bool, doc="x < y.")
less_equal = ElementwiseOp("less_equal", np.less_equal, arity=2, accepts=ANY, returns=dtypes.bool, doc="x <= y.")
equal = ElementwiseOp("equal", np.equal, arity=2, accepts=ANY, returns=dtypes.bool, doc="x == y.")
not_equal = ElementwiseOp("not_equal", np.not_equal, arity=2, accepts=ANY, returns=dtypes.bool, doc="x != y.")
