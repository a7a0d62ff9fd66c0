"""Eight complex numbers of float32 at once, as a type of numba's: what LLVM does not find in a loop, said outright.

They lie in memory as (2, any): the real parts in one row, the imaginary ones in the other. Processors
with narrower registers take two steps or more.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

LANES = 8
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_PAIR = ir.ArrayType(_VECTOR, 2)
_FUSED = ("contract",)  # a product and the sum that takes it may be one instruction


class Lanes(types.Type):  # type: ignore[misc]  # to mypy whatever numba has is Any
    """The type of eight complex numbers; there are sums, differences, products, and products with a float32."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


LANES_TYPE = Lanes()


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _PAIR)


def _parts(builder: Any, value: Any) -> tuple[Any, Any]:
    return builder.extract_value(value, 0), builder.extract_value(value, 1)


def _join(builder: Any, real: Any, imaginary: Any) -> Any:
    return builder.insert_value(builder.insert_value(ir.Constant(_PAIR, ir.Undefined), real, 0), imaginary, 1)


def _broadcast(builder: Any, value: Any) -> Any:
    one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _sum(builder: Any, one: Any, other: Any) -> Any:
    pairs = zip(_parts(builder, one), _parts(builder, other), strict=True)
    return _join(builder, *(builder.fadd(a, b, flags=_FUSED) for a, b in pairs))


def _difference(builder: Any, one: Any, other: Any) -> Any:
    pairs = zip(_parts(builder, one), _parts(builder, other), strict=True)
    return _join(builder, *(builder.fsub(a, b, flags=_FUSED) for a, b in pairs))


def _product(builder: Any, one: Any, other: Any) -> Any:
    (a, b), (c, d) = _parts(builder, one), _parts(builder, other)
    ac, bd, ad, bc = (builder.fmul(x, y, flags=_FUSED) for x, y in ((a, c), (b, d), (a, d), (b, c)))
    return _join(builder, builder.fsub(ac, bd, flags=_FUSED), builder.fadd(ad, bc, flags=_FUSED))


def _scaled(builder: Any, one: Any, factor: Any) -> Any:
    factors = _broadcast(builder, factor)
    return _join(builder, *(builder.fmul(part, factors, flags=_FUSED) for part in _parts(builder, one)))


def _teach(function: Callable[..., Any], operations: dict[types.Type, Callable[..., Any]]) -> None:
    """Tell numba of an operator: what it does with a right side of each type."""

    @type_callable(function)
    def typed(context: Any) -> Any:
        return lambda one, other: LANES_TYPE if one == LANES_TYPE and other in operations else None

    for other, operation in operations.items():

        @lower_builtin(function, LANES_TYPE, other)
        def lowered(context: Any, builder: Any, signature: Any, arguments: Any, operation: Any = operation) -> Any:
            return operation(builder, *arguments)


_teach(operator.add, {LANES_TYPE: _sum})
_teach(operator.iadd, {LANES_TYPE: _sum})
_teach(operator.sub, {LANES_TYPE: _difference})
_teach(operator.mul, {LANES_TYPE: _product, types.float32: _scaled})


def _pointers(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> tuple[Any, Any]:
    """Where the real and the imaginary parts of (2, any) begin."""
    array = context.make_array(kind)(context, builder, array)
    width = builder.extract_value(array.shape, 1)
    return builder.gep(array.data, [index]), builder.gep(array.data, [builder.add(index, width)])


@intrinsic
def load(typingctx: Any, row: Any, index: Any) -> Any:
    """Read eight neighbours of a row (2, any), from an index on.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointers = _pointers(context, builder, signature.args[0], *arguments)
        vectors = (builder.load(builder.bitcast(one, _VECTOR.as_pointer()), align=4) for one in pointers)
        return _join(builder, *vectors)

    return LANES_TYPE(row, types.int64), codegen


@intrinsic
def splat(typingctx: Any, row: Any, index: Any) -> Any:
    """Read one number of a row (2, any), eight times.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointers = _pointers(context, builder, signature.args[0], *arguments)
        return _join(builder, *(_broadcast(builder, builder.load(one)) for one in pointers))

    return LANES_TYPE(row, types.int64), codegen


@intrinsic
def store(typingctx: Any, row: Any, index: Any, value: Any) -> Any:
    """Write eight neighbours of a row (2, any), from an index on.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointers = _pointers(context, builder, signature.args[0], *arguments[:2])
        for pointer, part in zip(pointers, _parts(builder, arguments[2]), strict=True):
            builder.store(part, builder.bitcast(pointer, _VECTOR.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.none(row, types.int64, LANES_TYPE), codegen


@intrinsic
def store_transposed(typingctx: Any, row: Any, index: Any, values: Any) -> Any:
    """Write a tuple of eight to 64 neighbours of a row (2, any): first lane of each, second lane of each, and so on.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointers = _pointers(context, builder, signature.args[0], *arguments[:2])
        for part, pointer in enumerate(pointers):
            vectors = [builder.extract_value(builder.extract_value(arguments[2], lane), part) for lane in range(LANES)]
            while len(vectors) > 1:  # halves are shuffled, until all is one
                half = len(vectors) // 2
                pairs = zip(vectors[:half], vectors[half:], strict=True)
                vectors = [_shuffled(builder, one, other) for one, other in pairs]
            builder.store(vectors[0], builder.bitcast(pointer, vectors[0].type.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.none(row, types.int64, types.UniTuple(LANES_TYPE, LANES)), codegen


def _shuffled(builder: Any, one: Any, other: Any) -> Any:
    """One, other, one, other: as cards."""
    width = one.type.count
    order = [lane for i in range(width) for lane in (i, width + i)]
    return builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(ir.IntType(32), 2 * width), order))


@intrinsic
def turned(typingctx: Any, value: Any) -> Any:
    """Multiply by -i.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        real, imaginary = _parts(builder, arguments[0])
        return _join(builder, imaginary, builder.fneg(real))

    return LANES_TYPE(LANES_TYPE), codegen


@intrinsic
def conjugate(typingctx: Any, value: Any) -> Any:
    """Negate the imaginary parts.

    Thread: any, within kernels; real-time safe.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        real, imaginary = _parts(builder, arguments[0])
        return _join(builder, real, builder.fneg(imaginary))

    return LANES_TYPE(LANES_TYPE), codegen
