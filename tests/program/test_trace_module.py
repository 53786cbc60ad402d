"""Several methods of one module are traced into one program with one state."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from support.hostile_files import entries_of, mutants, zipped


class Coder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(4, 2)
        self.out = nn.Linear(2, 4)
        self.out.tied = self.into.weight
        self.register_buffer("mean", torch.ones(4))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.into(x - self.mean) * torch.tensor([1.0, 2.0])

    def decode(self, z: torch.Tensor, *, gain: float = 1.0) -> torch.Tensor:
        return self.out(z * torch.tensor([3.0, 4.0])) * gain + self.mean

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(x))


def traced_coder(coder: Coder) -> opscope.TracedModule:
    x, z = torch.randn(3, 4), torch.randn(3, 2)
    return opscope.trace_module(
        coder,
        {"forward": (x,), "encode": x, "decode": (z,)},
        kwargs={"decode": {"gain": 2.0}},
    )


def test_methods_are_programs_and_replay() -> None:
    coder = Coder()
    traced = traced_coder(coder)
    x, z = torch.randn(3, 4), torch.randn(3, 2)
    assert torch.equal(traced(x), coder(x))
    assert torch.equal(traced.forward(x), coder(x))
    assert torch.equal(traced.encode(x), coder.encode(x))
    assert torch.equal(traced.decode(z, gain=2.0), coder.decode(z, gain=2.0))
    assert list(traced) == list(traced.methods) == ["forward", "encode", "decode"]
    assert traced["encode"] is traced.encode is traced.methods["encode"]
    assert len(traced) == 3
    assert "encode" in dir(traced)
    assert repr(traced) == "<TracedModule Coder: forward, encode, decode>"
    assert [program.graph.name for program in traced.methods.values()] == [
        "Coder", "encode", "decode",
    ]  # fmt: skip
    for program in traced.methods.values():
        opscope.verify(program.graph)
        assert str(opscope.parse(str(program.graph))) == str(program.graph)


def test_state_is_shared_by_identity_and_other_constants_get_other_names() -> None:
    coder = Coder()
    traced = traced_coder(coder)
    assert list(traced.state) == [
        "mean", "into.weight", "into.bias", "constant", "constant.1", "out.weight", "out.bias",
        "encode.constant", "decode.constant",
    ]  # fmt: skip
    assert list(traced.encode.state) == ["mean", "into.weight", "into.bias", "encode.constant"]
    assert list(traced.encode.graph.state) == list(traced.encode.state)
    assert traced.state["into.weight"] is coder.into.weight
    for program in traced.methods.values():
        for name, kept in program.state.items():
            assert traced.state[name] is kept
    assert traced.parameter_count == sum(p.numel() for p in coder.parameters())


def test_training_the_module_trains_every_method() -> None:
    coder = Coder()
    traced = traced_coder(coder)
    (traced(torch.randn(3, 4)).sum() + traced.encode(torch.randn(3, 4)).sum()).backward()
    assert coder.into.weight.grad is not None
    with torch.no_grad():
        coder.into.weight.mul_(2)
    x = torch.randn(3, 4)
    assert torch.equal(traced.encode(x), coder.encode(x))


def test_hooks_belong_to_the_call_of_the_module() -> None:
    coder = Coder()
    coder.register_forward_hook(lambda module, args, result: result.neg())
    traced = opscope.trace_module(
        coder, {"forward": torch.randn(3, 4), "encode": torch.randn(3, 4)}
    )
    assert traced.forward.graph.nodes(op="aten::neg")
    assert not traced.encode.graph.nodes(op="aten::neg")


def test_diagnostics_of_all_methods() -> None:
    class Reading(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return x * float(x.sum())

        def other(self, x: torch.Tensor) -> Any:
            return x + float(x.max())

    x = torch.randn(3)
    with pytest.warns(opscope.TracerWarning, match="data read"):
        traced = opscope.trace_module(Reading(), {"forward": x, "other": x})
    assert len(traced.diagnostics) == 2
    with pytest.raises(opscope.CaptureError, match="data read"):
        opscope.trace_module(Reading(), {"other": x}, strict=True)


def test_mistakes_are_answered() -> None:
    coder, x = Coder(), torch.randn(3, 4)
    with pytest.raises(opscope.CaptureError, match="Coder has no method 'encod'"):
        opscope.trace_module(coder, {"encod": x})
    with pytest.raises(opscope.CaptureError, match="no method is named"):
        opscope.trace_module(coder, {})
    with pytest.raises(opscope.CaptureError, match="no method is named"):
        opscope.trace_module(coder, ["encode"])  # type: ignore[arg-type]
    with pytest.raises(opscope.CaptureError, match="'x' has dynamic sizes and no inputs"):
        opscope.trace_module(coder, {"encode": x}, dynamic={"x": {0: "batch"}})
    with pytest.raises(opscope.CaptureError, match="'decode' has keyword arguments and no inputs"):
        opscope.trace_module(coder, {"encode": x}, {"decode": {"gain": 1.0}})
    with pytest.raises(opscope.CaptureError, match="needs a module, not function"):
        opscope.trace_module(test_mistakes_are_answered, {"forward": x})  # type: ignore[arg-type]
    traced = opscope.trace_module(coder, {"encode": x})
    with pytest.raises(AttributeError, match="methods that were traced: encode"):
        traced(x)
    for look_up in (traced.methods.__getitem__, traced.__getitem__):
        with pytest.raises(KeyError, match="no method 'q'; methods that were traced: encode"):
            look_up("q")
    assert traced.methods.get("q") is None
    with pytest.raises(opscope.InputError, match="dtype"):
        traced.encode(x.double())


def test_a_traced_method_is_called_inside_another_trace() -> None:
    coder = Coder()
    traced = traced_coder(coder)
    whole = opscope.trace(lambda x: traced.decode(traced.encode(x), gain=2.0), torch.randn(3, 4))
    assert list(whole.graph.functions) == ["encode", "decode"]
    x = torch.randn(3, 4)
    assert torch.equal(whole(x), coder.decode(coder.encode(x), gain=2.0))
    assert sum(part is coder.mean for part in whole.state.values()) == 1


def test_sizes_vary_as_said_for_each_method() -> None:
    coder = Coder()
    inputs = {"encode": torch.randn(3, 4), "decode": torch.randn(3, 2)}
    fixed = opscope.trace_module(coder, inputs, dynamic=False)
    with pytest.raises(opscope.InputError, match="dimension 0 is 5"):
        fixed.encode(torch.randn(5, 4))
    named = opscope.trace_module(coder, inputs, dynamic={"encode": {"x": {0: "batch"}}})
    x, z = torch.randn(5, 4), torch.randn(7, 2)
    assert torch.equal(named.encode(x), coder.encode(x))
    assert torch.equal(named.decode(z), coder.decode(z))


def test_fake_methods_share_the_real_state() -> None:
    coder = Coder()
    before = {name: part for name, part in coder.named_parameters()}
    x = torch.randn(3, 4)
    traced = opscope.trace_module(coder, {"forward": x, "encode": x}, fake=True)
    assert dict(coder.named_parameters()) == before
    assert traced.state["into.weight"] is coder.into.weight
    assert torch.equal(traced.encode(x), coder.encode(x))
    assert torch.equal(traced(x), coder(x))


def test_methods_are_checked_and_diagnostics_expected() -> None:
    class Reading(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return x * float(x.sum())

    x = torch.randn(3)
    traced = opscope.trace_module(
        Reading(), {"forward": x}, strict=True, allow={"data read"}, check=True
    )
    assert len(traced.diagnostics) == 1
    with pytest.raises(opscope.CheckError):
        opscope.trace_module(Reading(), {"forward": x}, fake=True, check=True)


class Counting(nn.Module):
    """Two methods that write the same buffer and read the same parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.register_buffer("seen", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.add_(x.sum(0))
        return self.fc(x)

    def recall(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.mul_(2.0)
        return self.fc(x) + self.seen


def saved_counting(path: Path, **options: Any) -> tuple[Counting, opscope.LoadedModule]:
    module, x = Counting(), torch.randn(3, 4)
    traced = opscope.trace_module(module, {"forward": x, "recall": x})
    assert traced.save(path, **options) == path
    return module, opscope.load_module(path)


def test_a_module_that_was_saved_loads_with_one_state_for_all_its_methods(tmp_path: Path) -> None:
    module, loaded = saved_counting(tmp_path / "counting.opscope")
    assert repr(loaded) == "<LoadedModule Counting: forward, recall>"
    assert list(loaded) == ["forward", "recall"]
    assert loaded["recall"] is loaded.recall is loaded.methods["recall"]
    x = torch.randn(3, 4)
    for step in (module, module.recall, module):
        name = getattr(step, "__name__", "forward")
        assert torch.equal(loaded[name](x), step(x))
    assert torch.equal(loaded.state["seen"], module.seen)
    assert loaded.forward.state["fc.weight"] is loaded.recall.state["fc.weight"]
    assert loaded.forward.state["fc.weight"] is loaded.state["fc.weight"]


def test_the_file_of_a_module_holds_each_tensor_once(tmp_path: Path) -> None:
    saved_counting(tmp_path / "counting.opscope")
    with zipfile.ZipFile(tmp_path / "counting.opscope") as archive:
        length = int.from_bytes(archive.read("state.safetensors")[:8], "little")
        header = json.loads(archive.read("state.safetensors")[8 : 8 + length])
    assert sorted(name for name in header if name != "__metadata__") == [
        "fc.bias",
        "fc.weight",
        "seen",
    ]


def test_a_loaded_module_is_saved_as_it_is_by_then(tmp_path: Path) -> None:
    module, loaded = saved_counting(tmp_path / "counting.opscope")
    x = torch.randn(3, 4)
    loaded(x), module(x)
    again = opscope.load_module(loaded.save(tmp_path / "counting.opscope"))
    assert torch.equal(again.recall(x), module.recall(x))


def test_a_module_saved_without_state_can_be_read_and_not_replayed(tmp_path: Path) -> None:
    _, loaded = saved_counting(tmp_path / "counting.opscope", state=False)
    assert "aten::linear" in str(loaded.recall.graph)
    with pytest.raises(opscope.ReplayError, match="saved without the state"):
        loaded.recall(torch.randn(3, 4))
    again = opscope.load_module(loaded.save(tmp_path / "again.opscope"))
    assert str(again) == str(loaded)


def test_a_loaded_module_says_which_methods_it_has(tmp_path: Path) -> None:
    x = torch.randn(3, 4)
    traced = opscope.trace_module(Coder(), {"encode": x, "decode": torch.randn(3, 2)})
    loaded = opscope.load_module(traced.save(tmp_path / "coder.opscope"))
    for look_up in (loaded.methods.__getitem__, loaded.__getitem__):
        with pytest.raises(KeyError, match="no method 'q'; methods in the file: encode, decode"):
            look_up("q")
    with pytest.raises(AttributeError, match="methods in the file: encode, decode"):
        loaded(x)


def test_one_method_of_a_loaded_module_is_saved_by_itself(tmp_path: Path) -> None:
    module, loaded = saved_counting(tmp_path / "counting.opscope")
    alone = opscope.load(loaded.recall.save(tmp_path / "recall.opscope"))
    x = torch.randn(3, 4)
    assert torch.equal(alone(x), module.recall(x))


def test_files_of_modules_and_of_programs_lead_to_what_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "counting.opscope"
    _, loaded = saved_counting(path)
    with pytest.raises(opscope.FormatError, match=r"methods forward, recall\n.*load_module"):
        opscope.load(path)
    alone = loaded.forward.save(tmp_path / "forward.opscope")
    with pytest.raises(opscope.FormatError, match=r"one program.*\n.*opscope\.load"):
        opscope.load_module(alone)
    with pytest.raises(opscope.RenderError, match=r"save or draw one of them"):
        loaded.save(tmp_path / "counting.svg")


def test_a_hostile_file_of_a_module_is_a_format_error(tmp_path: Path) -> None:
    path = tmp_path / "counting.opscope"
    saved_counting(path)
    entries = entries_of(path)
    program = json.loads(entries["methods/1/program.json"])
    program["state"]["tensors"] = program["state"]["tensors"][::-1]
    manifest = json.loads(entries["opscope.json"])
    hostile = [
        {**entries, "methods/1/program.json": json.dumps(program).encode()},
        {**entries, "methods/2/graph.json": entries["methods/1/graph.json"]},
        {**entries, "graph.json": entries["methods/1/graph.json"]},
        {name: content for name, content in entries.items() if name != "methods/1/graph.json"},
        {name: content for name, content in entries.items() if name != "methods/1/program.json"},
    ]
    for module in ([], ["Counting", []], ["Counting", ["a", "a"]], ["Counting", [1]], "x"):
        text = json.dumps({**manifest, "module": module}).encode()
        hostile.append({**entries, "opscope.json": text})
    for made in hostile:
        with pytest.raises(opscope.FormatError):
            opscope.load_module(zipped(made, tmp_path / "hostile.opscope"))


@pytest.mark.parametrize("seed", range(3))
def test_a_fuzzed_file_of_a_module_is_read_or_refused(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "counting.opscope"
    saved_counting(path)
    refused = 0
    for mutant in mutants(path, 40, seed):
        try:
            opscope.load_module(mutant)
        except opscope.FormatError:
            refused += 1
    assert refused
