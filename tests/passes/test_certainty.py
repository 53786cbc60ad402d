"""What of types holds at every replay."""

import opscope
from opscope.ir import DType
from opscope.passes.alias_analysis import AliasAnalysis
from opscope.passes.certainty import CertainTypes
from support.ir_text import value_named


def certain(
    body: str, inputs: str = "%x : f32[2, 3], %w : f32[3, 3]"
) -> tuple[opscope.Graph, CertainTypes]:
    graph = opscope.parse(f"graph({inputs}):\n{body}\n return ()")
    return graph, CertainTypes(graph, AliasAnalysis(graph))


def dtypes(body: str) -> dict[str, DType | None]:
    graph, types = certain(body)
    return {value.name: types.dtype(value) for value in graph.values() if value.name}


def test_dtypes_come_from_inputs_as_far_as_no_autocast_reaches() -> None:
    found = dtypes(
        """
        state %p : f32[3]
        %a : f32[2, 3] = aten::add.Tensor(%x, %p)
        %b : f32[3, 2]{strides=[1, 3]} = aten::t(%a)
        %c : f32[2, 3] = aten::mm(%x, %w)
        %d : f32[2, 3] = aten::neg(%c)
        %e : f16[2, 3] = aten::to.dtype(%d, f16)
        %f : f16[2, 3] = aten::relu_(%e)
        %g : f32[2, 3] = aten::exp(%x)
        mode grad, autocast(cpu, bf16)
        %h : bf16[2, 3] = aten::mm(%x, %w)
        %i : f32[2, 3] = aten::mm(%d, %w)
        mode grad, fixed(cpu)
        %j : f32[2, 3] = aten::mm(%x, %w)
        """
    )
    f32, f16 = DType.F32, DType.F16
    assert found == {
        "x": f32, "w": f32, "a": f32, "b": f32, "c": None, "d": None, "e": f16, "f": f16, "g": None,
        "h": DType.BF16, "i": None, "j": f32,
    }  # fmt: skip


def test_the_dtype_of_another_tensor_is_as_certain_as_that_is() -> None:
    found = dtypes(
        """
        %c : f32[2, 3] = aten::mm(%x, %w)
        %d : f32[2, 3] = aten::to.other(%x, %c)
        %e : f32[2, 3] = aten::to.other(%x, %w)
        """
    )
    assert found["d"] is None
    assert found["e"] is DType.F32


def test_inside_functions_nothing_checks_what_comes_in() -> None:
    graph = opscope.parse(
        "graph(%x : f32[2]):\n %y : f32[2] = prim::call(@f, %x)\n return (%y)\n"
        "function f(%a : f32[2]):\n %b : f32[2] = aten::neg(%a)\n return (%b)"
    )
    function = graph.functions["f"]
    types = CertainTypes(function, AliasAnalysis(function), is_function=True)
    assert types.dtype(function.inputs[0]) is None
    assert types.dtype(function.outputs[0]) is None


def test_a_chain_of_any_length() -> None:
    body = "\n".join(f"%{n} : f32[2, 3] = aten::neg(%{n - 1 if n else 'x'})" for n in range(5000))
    graph, types = certain(body + "\n %last : f32[2, 3] = aten::neg(%4999)")
    assert types.dtype(value_named(graph, "last")) is DType.F32


def test_sizes_that_are_equal_at_each_replay() -> None:
    graph, types = certain(
        """
        %n : int = aten::sym_size.int(%x, -1)
        %a : f32[2, 3] = aten::relu(%x)
        %b : f32[3, 2] = aten::view(%x, [3, 2])
        %c : f32[2, 3] = aten::mm(%x, %w)
        %m : int = aten::sym_size.int(%w, 0)
        """
    )
    n, a, b, c, m = (value_named(graph, name) for name in "nabcm")
    x = graph.inputs[0]
    assert types.size_told(n) == types.size(x, 1) == types.size(a, 1)
    assert types.size(b, 0) == types.size_told(3) == 3
    assert types.size(x, 1) != types.size(c, 1)
    assert types.size(x, 1) != 3
    assert types.size_told(m) != types.size_told(n)
    assert types.size_told(-1) is None


def test_dense_is_what_elements_were_computed_for() -> None:
    graph, types = certain(
        """
        %a : f32[2, 3] = aten::relu(%x)
        %b : f32[3, 2]{strides=[1, 3]} = aten::t(%a)
        %c : f32[2, 3] = aten::mm(%x, %w)
        %d : f32[2, 3] = aten::relu_(%x)
        """
    )
    assert [types.is_dense(value_named(graph, name)) for name in "abcdx"] == [
        True, False, False, False, False
    ]  # fmt: skip
