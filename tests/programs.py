"""What a traced program computes, read off its jaxpr: array sizes and multiplications, without compiling anything."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr


def equations(jaxpr: Any, times: int = 1) -> Iterator[tuple[Any, int]]:
    """Every equation, those of inner programs included, with how often it runs; of a `cond` all branches count."""
    for equation in (jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr).eqns:
        yield equation, times
        inner_times = times * equation.params["length"] if equation.primitive.name == "scan" else times
        for value in jax.tree.leaves(equation.params, is_leaf=lambda leaf: isinstance(leaf, (ClosedJaxpr, Jaxpr))):
            if isinstance(value, (ClosedJaxpr, Jaxpr)):
                yield from equations(value, inner_times)


def multiplications(jaxpr: Any) -> int:
    """Scalar multiplications of all matrix products."""
    total = 0
    for equation, times in equations(jaxpr):
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left = equation.invars[0].aval.shape
            total += times * math.prod(equation.outvars[0].aval.shape) * math.prod(left[i] for i in contracted)
    return total


def largest_array(jaxpr: Any) -> int:
    """Elements of the largest intermediate array."""
    return max(math.prod(variable.aval.shape) for equation, _ in equations(jaxpr) for variable in equation.outvars)
