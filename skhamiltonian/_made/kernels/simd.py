"""Vectors of 16 float32 that a kernel keeps in registers: numba vectorises loops, but blocks no registers.

Every operation is a Python function, which runs without the compiler, and what kernels make of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, overload, register_model
from numpy.typing import NDArray

WIDTH = 16
_LLVM = ir.VectorType(ir.FloatType(), WIDTH)
_INDEX = ir.VectorType(ir.IntType(32), WIDTH)
_FUSE = ("contract",)

Vector = NDArray[np.float32]


class _VectorType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Vector16")


_VECTOR = _VectorType()


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _LLVM)


def load(x: Vector, row: int) -> Vector:
    """Return the row-th 16 numbers of a contiguous array."""
    return x.reshape(-1)[WIDTH * row : WIDTH * (row + 1)].copy()


def store(x: Vector, row: int, a: Vector) -> None:
    """Set the row-th 16 numbers of a contiguous array."""
    x.reshape(-1)[WIDTH * row : WIDTH * (row + 1)] = a


def add(a: Vector, b: Vector) -> Vector:
    """Return a + b."""
    return a + b


def scale(w: Any, x: Vector) -> Vector:
    """Return w x."""
    return w * x


def add_scaled(a: Vector, w: Any, x: Vector) -> Vector:
    """Return a + w x."""
    return a + w * x


def _pointer(context: Any, builder: Any, kind: Any, x: Any, row: Any) -> Any:
    first = builder.mul(row, ir.Constant(row.type, WIDTH))
    return builder.bitcast(builder.gep(context.make_array(kind)(context, builder, x).data, [first]), _LLVM.as_pointer())


def _broadcast(builder: Any, w: Any) -> Any:
    nothing, zero = ir.Constant(_LLVM, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    return builder.shuffle_vector(builder.insert_element(nothing, w, zero), nothing, ir.Constant(_INDEX, [0] * WIDTH))


@intrinsic
def _load(typing: Any, x: Any, row: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_pointer(context, builder, x, *args), align=4)

    return _VECTOR(x, types.int64), emit


@intrinsic
def _store(typing: Any, x: Any, row: Any, a: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _pointer(context, builder, x, *args[:2]), align=4)
        return context.get_dummy_value()

    return types.void(x, types.int64, a), emit


@intrinsic
def _add(typing: Any, a: Any, b: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(*args, flags=_FUSE)

    return _VECTOR(a, b), emit


@intrinsic
def _scale(typing: Any, w: Any, x: Any) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fmul(_broadcast(builder, args[0]), args[1], flags=_FUSE)

    return _VECTOR(types.float32, x), emit


overload(load)(lambda x, row: lambda x, row: _load(x, row))
overload(store)(lambda x, row, a: lambda x, row, a: _store(x, row, a))
overload(add)(lambda a, b: lambda a, b: _add(a, b))
overload(scale)(lambda w, x: lambda w, x: _scale(w, x))
overload(add_scaled)(lambda a, w, x: lambda a, w, x: _add(a, _scale(w, x)))
