"""Programs in files: saved here, loaded in a process that knows nothing of them, replayed bit by bit."""

import copy
import importlib.util
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import opscope
from opscope.errors import FormatError, GuardError, InputError, ReplayError
from support.hostile_files import mutants, use
from support.replays import tensors_of
from support.same_graphs import Same
from support.training import Normed

EXAMPLES = Path(__file__).parents[2] / "examples"

ELSEWHERE = """
import sys, torch
import opscope
for path in sys.argv[1:]:
    program = opscope.load(path + ".opscope")
    calls = torch.load(path + ".calls", weights_only=False)
    found = []
    for seed, args, grad in calls:
        torch.manual_seed(seed)
        with torch.set_grad_enabled(grad):
            result = program(*args)
        leaves = opscope.ir.structure.take_apart(result, lambda part: isinstance(part, torch.Tensor))[0]
        state = [v.find() if hasattr(v, "find") else v for v in program.state.values()]
        found.append((leaves, state, torch.get_rng_state()))
    torch.save(found, path + ".found")
"""


@dataclass
class Case:
    """A program to save: what is traced, and the calls to be replayed, the first of which is traced."""

    program: Callable[..., Any]
    calls: list[tuple[Any, ...]]
    grad: bool = False
    first: tuple[Any, ...] | None = None
    options: dict[str, Any] | None = None


def example(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # its dataclasses look there
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


def gpt() -> Case:
    model = example("gpt").gpt(layers=2, heads=2, width=32, vocabulary=100, context=32).eval()
    return Case(model, [(torch.randint(100, (2, size)),) for size in (16, 16, 7)])


def resnet() -> Case:
    model = example("resnet").resnet18().eval()
    return Case(model, [(torch.randn(1, 3, 32, 32),), (torch.randn(2, 3, 40, 32),)])


def training() -> Case:
    model = Normed()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)

    def step(x: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = model(x).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        return loss

    batches = [(torch.randn(4, 8),) for _ in range(4)]
    return Case(step, batches[1:], grad=True, first=batches[0])


def first_step() -> Case:
    model = Normed()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)

    def step(x: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss: torch.Tensor = model(x).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss

    return Case(step, [(torch.randn(4, 8),)], grad=True)


def gpt2() -> Case:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_layer=2, n_embd=32, n_head=2, vocab_size=100, bos_token_id=0, eos_token_id=0
    )
    return Case(
        GPT2LMHeadModel(config).eval(), [(torch.randint(100, (2, size)),) for size in (9, 5)]
    )


def kinds() -> Case:
    class Kinds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 4).bfloat16())
            self.register_buffer("wide", torch.randn(1, 4, 4, 3).permute(0, 3, 1, 2))
            self.register_buffer("some", self.wide[:, :1])
            self.register_buffer("mask", torch.tensor([True, False, True, False]))
            self.table = torch.randn(4, dtype=torch.complex64).conj()
            self.sparse = torch.eye(4).to_sparse()

        def forward(self, x: torch.Tensor) -> dict[str, Any]:
            self.some.add_(1)  # seen in the other buffer
            rows = x.shape[0] * 2 + 1
            return {
                "a": (self.weight.float() @ x.t(), x[:, self.mask]),
                "b": [self.wide.sum(), x * self.table, torch.sparse.mm(self.sparse, x.t())],
                "c": (x.new_zeros(rows), torch.rand_like(x)),
                "n": None,
            }

    return Case(Kinds(), [(torch.randn(size, 4),) for size in (3, 3, 5)])


CASES = (gpt, resnet, training, first_step, gpt2, kinds)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[Any], list[Any]]]:
    """What replays give here and in another process, by the case's name."""
    folder = tmp_path_factory.mktemp("files")
    expected = {}
    for make in CASES:
        torch.manual_seed(0)
        case = make()
        if case.first is not None:
            case.program(*case.first)
        with torch.set_grad_enabled(case.grad):
            traced = opscope.trace(case.program, case.calls[0], warn=False)
        if make is first_step:  # a second run would find what the first has made
            torch.manual_seed(0)
            case = make()
            traced = opscope.trace(case.program, case.calls[0], warn=False, fake=True)
        path = folder / make.__name__
        traced.save(path.with_suffix(".opscope"))
        calls = [(seed, args, case.grad) for seed, args in enumerate(case.calls)]
        torch.save(calls, path.with_suffix(".calls"))
        expected[make.__name__] = []
        for seed, args, grad in calls:
            torch.manual_seed(seed)
            with torch.set_grad_enabled(grad):
                leaves = tensors_of(traced(*args))
            state = [_content(held) for held in traced.state.values()]
            expected[make.__name__].append((leaves, state, torch.get_rng_state()))
    script = folder / "elsewhere.py"
    script.write_text(
        "import transformers.modeling_outputs, transformers.cache_utils\n" + ELSEWHERE
    )
    command = [sys.executable, str(script), *(str(folder / make.__name__) for make in CASES)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return {
        name: (here, torch.load(folder / f"{name}.found", weights_only=False))
        for name, here in expected.items()
    }


def _content(held: Any) -> Any:
    return held.find() if hasattr(held, "find") else held


@pytest.mark.parametrize("name", [make.__name__ for make in CASES])
def test_a_replay_elsewhere_gives_the_same_bits(
    elsewhere: dict[str, tuple[list[Any], list[Any]]], name: str
) -> None:
    here, there = elsewhere[name]
    assert len(here) == len(there) > 0
    for (leaves, _, random), (leaves2, state2, random2) in zip(here, there, strict=True):
        assert torch.equal(random, random2)
        _assert_equal(leaves, leaves2)
        assert state2
    _assert_equal(here[-1][1], there[-1][1])  # what the calls left in parameters and optimizers


def _assert_equal(ours: list[Any], theirs: list[Any]) -> None:
    assert len(ours) == len(theirs) > 0
    for one, other in zip(ours, theirs, strict=True):
        if not isinstance(one, torch.Tensor):
            assert one == other
            continue
        assert (one.dtype, one.shape, one.stride()) == (other.dtype, other.shape, other.stride())
        assert torch.equal(one.to_dense(), other.to_dense())


def saved(traced: opscope.TracedProgram, tmp_path: Path, **options: Any) -> opscope.LoadedProgram:
    return opscope.load(traced.save(tmp_path / "program.opscope", **options))


def test_everything_but_the_function_comes_back(tmp_path: Path) -> None:
    def program(x: torch.Tensor, more: dict[str, Any], *, scale: float = 2.0) -> Any:
        y = x * scale + more["y"]
        more["list"].append(y)
        if x.shape[0] > 1:
            y = y + float(y.sum())
        return {"y": y, "n": x.shape[0]}

    def args(mine: list[Any]) -> tuple[Any, ...]:
        return torch.ones(3, 2), {"y": torch.ones(2), "list": mine}

    traced = opscope.trace(program, args([]), dynamic={"x": {0: "batch"}}, warn=False)
    loaded = saved(traced, tmp_path)
    Same().graphs(traced.graph, loaded.graph)
    assert repr(loaded.outputs) == repr(traced.outputs)
    assert [str(found) for found in loaded.diagnostics] == [str(f) for f in traced.diagnostics]
    assert [str(guard) for guard in loaded.guards] == [str(guard) for guard in traced.guards]
    assert "y + float(y.sum())" in str(loaded.diagnostics[0])
    assert [c.text for c in loaded.circumstances] == [c.text for c in traced.circumstances]
    assert loaded.updates.keys() == traced.updates.keys()
    assert loaded.inputs is not None
    for fact in ("names", "types", "dimensions", "same_as", "is_exact"):
        assert getattr(loaded.inputs, fact) == getattr(traced.inputs, fact)
    assert str(loaded.traced) == str(traced)
    assert loaded.code == traced.code
    assert loaded.torch_version == torch.__version__
    mine: list[Any] = []
    x, more = args(mine)
    assert loaded(x, more=more)["n"] == 3
    assert torch.equal(mine[0], torch.full((3, 2), 3.0))
    with pytest.raises(InputError, match=r"input scale was 2\.0 when the program was traced"):
        loaded(*args([]), scale=3.0)


def test_nodes_of_diagnostics_are_those_of_the_graph(tmp_path: Path) -> None:
    traced = opscope.trace(lambda x: x + float(x.sum()), torch.ones(2), warn=False)
    loaded = saved(traced, tmp_path)
    assert [node.kind for node in loaded.diagnostics[0].nodes] == [
        node.kind for node in traced.diagnostics[0].nodes
    ]
    assert all(node.graph is loaded.graph for node in loaded.diagnostics[0].nodes)


def test_lines_that_no_node_comes_from_come_along_for_diagnostics(tmp_path: Path) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        with opscope.paused():
            return x.exp()

    traced = opscope.trace(program, torch.ones(2), warn=False)
    loaded = saved(traced, tmp_path)
    assert len(loaded.graph.block) == 0
    assert str(loaded.diagnostics[0]) == str(traced.diagnostics[0])
    assert "with opscope.paused():" in str(loaded.diagnostics[0])


def test_lines_of_the_user_come_along(tmp_path: Path) -> None:
    script = tmp_path / "net.py"
    script.write_text("def double(x):\n    return x * 2  # twice\n")
    spec = importlib.util.spec_from_file_location("net", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loaded = saved(opscope.trace(module.double, torch.ones(2)), tmp_path)
    script.write_text("something else\n" * 9)
    (node,) = loaded.graph.block
    assert node.source is not None
    assert node.source.underlined() == "return x * 2  # twice\n       ^^^^^"
    assert loaded.sources["net.py"] == "def double(x):\n    return x * 2  # twice\n"
    again = opscope.load(loaded.save(tmp_path / "again.opscope"))
    assert again.sources == loaded.sources


def test_deep_traces_fold_as_they_did(tmp_path: Path) -> None:
    traced = opscope.trace(nn.Linear(4, 2), torch.ones(3, 4), depth="deep")
    loaded = saved(traced, tmp_path)
    assert loaded.depth == "deep"
    assert str(loaded.fold("operators")) == str(traced.fold("operators"))
    assert str(loaded.graph) == str(traced.graph)
    x = torch.randn(3, 4)
    assert torch.equal(loaded(x), traced(x))
    loaded.unfold("operators")
    assert torch.equal(loaded(x), traced(x))


def test_functional_graphs_write_back(tmp_path: Path) -> None:
    traced = opscope.trace(Normed(), torch.randn(4, 8), force_outplace=True)
    loaded = saved(traced, tmp_path)
    assert loaded.mutations == traced.mutations
    assert len(loaded.mutations) > 0
    x = torch.randn(4, 8)
    for _ in range(2):
        torch.manual_seed(1)
        ours = traced(x)
        torch.manual_seed(1)
        assert torch.equal(loaded(x), ours)
    assert torch.equal(loaded.state["norm.running_mean"], traced.state["norm.running_mean"])


def test_blocks_and_functions_come_back(tmp_path: Path) -> None:
    inner = opscope.trace(torch.relu, torch.ones(2, 3))

    def program(x: torch.Tensor) -> torch.Tensor:
        y = inner(x)
        return torch.cond(y.sum() > 3, lambda v: v * 2, lambda v: v - 1, (y,))  # type: ignore[no-any-return]

    traced = opscope.trace(program, torch.ones(2, 3), warn=False)
    loaded = saved(traced, tmp_path)
    Same().graphs(traced.graph, loaded.graph)
    for scale in (-1, 1):
        x = torch.full((2, 3), float(scale))
        assert torch.equal(loaded(x), program(x))


def test_passes_run_before_and_after_the_program_was_called(tmp_path: Path) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        x.exp()
        return x.neg() + x.neg()

    traced = opscope.trace(program, torch.ones(2))
    x = torch.randn(2)
    loaded = saved(traced, tmp_path)
    assert loaded.apply("dce").changed
    assert torch.equal(loaded(x), traced(x))
    assert loaded.apply("cse").changed
    assert torch.equal(loaded(x), traced(x))
    assert [node.kind for node in loaded.graph.block] == ["aten::neg", "aten::add.Tensor"]
    assert [n.kind for n in opscope.load(loaded.save(tmp_path / "b.opscope")).graph.block] == [
        "aten::neg", "aten::add.Tensor",
    ]  # fmt: skip


def test_a_loaded_program_is_saved_with_what_replays_have_written(tmp_path: Path) -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.count.add_(1)

    loaded = saved(opscope.trace(Counter(), torch.zeros(1)), tmp_path)
    untouched = opscope.load(loaded.save(tmp_path / "untouched.opscope"))
    assert [loaded(torch.zeros(1)).item() for _ in range(2)] == [2, 3]
    later = opscope.load(loaded.save(tmp_path / "later.opscope"))
    assert later(torch.zeros(1)).item() == 4
    assert untouched(torch.zeros(1)).item() == 2


def test_a_program_can_be_saved_over_its_own_file(tmp_path: Path) -> None:
    model = nn.Linear(4, 2)
    loaded = saved(opscope.trace(model, torch.ones(1, 4)), tmp_path)
    loaded.apply("dce")
    loaded.save(loaded.path)
    x = torch.randn(3, 4)
    assert torch.equal(loaded(x), model(x))
    loaded.save(loaded.path)
    assert torch.equal(loaded(x), opscope.load(loaded.path)(x))


def test_without_state_there_is_a_graph_and_no_replay(tmp_path: Path) -> None:
    traced = opscope.trace(nn.Linear(4, 2), torch.ones(1, 4), fake=True)
    path = traced.save(tmp_path / "net.opscope", state=False)
    loaded = opscope.load(path)
    assert not loaded.has_state
    assert str(loaded.graph) == str(traced.graph)
    assert loaded.parameter_count == 10
    with pytest.raises(ReplayError, match="was saved without the state of its program"):
        loaded(torch.ones(1, 4))
    assert opscope.load(loaded.save(tmp_path / "again.opscope")).has_state is False


def test_a_graph_alone_is_no_program(tmp_path: Path) -> None:
    graph = opscope.trace(torch.relu, torch.ones(2)).graph
    loaded = opscope.load(opscope.save(graph, tmp_path / "graph.opscope"))
    assert not loaded.is_program
    assert repr(loaded) == f"<LoadedProgram {graph.name}: 1 nodes>"
    assert loaded.guards == ()
    opscope.to_dot(loaded)
    with pytest.raises(ReplayError, match="holds a graph alone"):
        loaded(torch.ones(2))


def test_a_replay_is_held_to_the_modes_and_settings_that_the_program_asked_for(
    tmp_path: Path,
) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled() and torch.get_default_dtype() is torch.float32:
            x = x + 1
        return x * 2 if torch.backends.mkldnn.enabled else x  # type: ignore[attr-defined]

    loaded = saved(opscope.trace(program, torch.ones(2)), tmp_path)
    assert loaded(torch.ones(2)).tolist() == [4, 4]
    with torch.no_grad(), pytest.raises(GuardError, match="is_grad_enabled"):
        loaded(torch.ones(2))
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(GuardError, match="get_default_dtype"):
            loaded(torch.ones(2, dtype=torch.float32))
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_replay_is_held_to_what_autograd_knew_of_the_state(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)

    def program(x: torch.Tensor) -> torch.Tensor:
        return model(x) if model.weight.requires_grad else x  # type: ignore[no-any-return]

    loaded = saved(opscope.trace(program, torch.ones(1, 2)), tmp_path)
    loaded(torch.ones(1, 2))
    loaded.state["model.weight"].requires_grad_(False)
    with pytest.raises(GuardError, match="requires_grad is True"):
        loaded(torch.ones(1, 2))


def test_a_first_step_is_no_second_one(tmp_path: Path) -> None:
    case = first_step()
    traced = opscope.trace(case.program, case.calls[0], warn=False, fake=True)
    loaded = saved(traced, tmp_path)
    loaded(*case.calls[0])
    with pytest.raises(GuardError, match="has no entry for"):
        loaded(*case.calls[0])


def test_numbers_of_optimizers_can_be_set(tmp_path: Path) -> None:
    case = training()
    assert case.first is not None
    case.program(*case.first)
    traced = opscope.trace(case.program, case.calls[0], warn=False)
    loaded = saved(traced, tmp_path)
    rate = loaded.state["optimizer.param_groups.0.lr"]
    assert repr(rate) == "<HeldNumber optimizer.param_groups.0.lr = 0.01>"
    rate.write(0.5)
    before = loaded.state["model.a.weight"].clone()
    loaded(*case.calls[0])
    assert (loaded.state["model.a.weight"] - before).abs().max() > 0.1


def test_tensors_that_are_defaults_come_along(tmp_path: Path) -> None:
    scale = torch.tensor([2.0, 3.0])

    def program(x: torch.Tensor, by: torch.Tensor = scale) -> torch.Tensor:
        return x * by

    loaded = saved(opscope.trace(program, torch.ones(2)), tmp_path)
    assert loaded(torch.ones(2)).tolist() == [2, 3]
    without = opscope.load(loaded.save(tmp_path / "without.opscope", state=False))
    assert not without.has_state


def test_generators_go_on_where_they_were(tmp_path: Path) -> None:
    generator = torch.Generator()
    generator.manual_seed(3)

    def program(x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand(2, generator=generator)

    traced = opscope.trace(program, torch.zeros(2))
    loaded = saved(traced, tmp_path)
    for _ in range(2):
        assert torch.equal(loaded(torch.zeros(2)), traced(torch.zeros(2)))


class Doubled(torch.autograd.Function):
    """A function of autograd that tests trace."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] * 2


def test_what_is_missing_is_named_and_can_be_given(tmp_path: Path) -> None:
    class Local(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x * 3

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            return gradients[0]

    def program(x: torch.Tensor) -> Any:
        return Doubled.apply(x) + Local.apply(x)  # type: ignore[no-untyped-call]

    x = torch.ones(2, requires_grad=True)
    path = opscope.trace(program, x, warn=False).save(tmp_path / "net.opscope")
    loaded = opscope.load(path)
    with pytest.raises(ReplayError) as caught:
        loaded(x)
    first, line = str(caught.value).splitlines()
    assert first == "program needs what is not in the file and not loaded here"
    assert line.startswith("  Local: was <class ")
    assert line.endswith("pass it to opscope.load(..., objects={'Local': ...})")
    assert [absent.label for absent in loaded.absent] == ["Local"]
    assert torch.equal(opscope.load(path, objects={"Local": Local})(x), program(x))


def test_operators_that_are_not_registered_are_named(tmp_path: Path) -> None:
    with torch.library._scoped_library("opscope_files", "FRAGMENT") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: x * 2, "CompositeExplicitAutograd")
        traced = opscope.trace(lambda x: torch.ops.opscope_files.twice(x), torch.ones(2))
        path = traced.save(tmp_path / "net.opscope")
    loaded = opscope.load(path)
    assert loaded.graph.nodes(op="opscope_files::twice")
    with pytest.raises(ReplayError, match="opscope_files::twice"):
        loaded(torch.ones(2))


def test_scripted_callees_are_named(tmp_path: Path) -> None:
    def rise(x: torch.Tensor) -> torch.Tensor:
        return x + 1

    scripted = torch.jit.script(rise)  # type: ignore[no-untyped-call]
    x = torch.ones(2, requires_grad=True)
    path = opscope.trace(lambda x: scripted(x) * 2, x, warn=False).save(tmp_path / "net.opscope")
    with pytest.raises(ReplayError, match=r"rise: was .*ScriptFunction, which a file cannot hold"):
        opscope.load(path)(x)
    assert opscope.load(path, objects={"rise": scripted})(x).tolist() == [4, 4]


def test_objects_that_decided_the_trace_can_be_given(tmp_path: Path) -> None:
    class Config:
        def __init__(self, scale: int) -> None:
            self.scale = scale

    def program(x: torch.Tensor, config: Any) -> torch.Tensor:
        return x * config.scale  # type: ignore[no-any-return]

    traced = opscope.trace(program, (torch.ones(2), Config(3)))
    path = traced.save(tmp_path / "net.opscope")
    (absent,) = {a.label for a in opscope.load(path).absent if "Config" in a.label}
    with pytest.raises(ReplayError, match="Config"):
        opscope.load(path)(torch.ones(2), Config(3))
    loaded = opscope.load(path, objects={absent: Config})
    assert loaded(torch.ones(2), Config(3)).tolist() == [3, 3]
    with pytest.raises(InputError, match=r"input config.scale was 3"):
        loaded(torch.ones(2), Config(4))


def test_a_tensor_that_cannot_come_back_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    weight = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged)
    traced = opscope.trace(lambda x: weight * x, torch.ones(()), warn=False)
    with pytest.raises(FormatError, match="which the file cannot hold"):
        traced.save(tmp_path / "net.opscope")
    assert list(tmp_path.iterdir()) == []
    assert opscope.load(traced.save(tmp_path / "net.opscope", state=False)).graph.state


def test_a_file_that_changed_since_is_told(tmp_path: Path) -> None:
    traced = opscope.trace(nn.Linear(4, 2), torch.ones(1, 4))
    path = traced.save(tmp_path / "net.opscope")
    loaded = opscope.load(path)
    opscope.trace(nn.Linear(4, 3), torch.ones(1, 4)).save(path)
    with pytest.raises(FormatError, match="another one now than when it was loaded"):
        loaded(torch.ones(1, 4))


def test_damaged_data_is_told_when_it_is_read(tmp_path: Path) -> None:
    model = nn.Linear(4, 2)
    path = opscope.trace(model, torch.ones(1, 4)).save(tmp_path / "net.opscope")
    content = bytearray(path.read_bytes())
    place = content.index(bytes(model.weight.detach().view(torch.uint8).flatten().tolist()))
    content[place] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(
        FormatError, match=r"net.opscope: state.safetensors: it is damaged: Bad CRC-32"
    ):
        opscope.load(path)(torch.ones(1, 4))


def test_options_of_pictures_and_files_are_told_apart(tmp_path: Path) -> None:
    traced = opscope.trace(torch.relu, torch.ones(2))
    with pytest.raises(opscope.RenderError, match="depth is for pictures"):
        traced.save(tmp_path / "net.opscope", depth=2)
    with pytest.raises(opscope.RenderError, match="a picture holds none"):
        traced.save(tmp_path / "net.svg", state=False)


WITHOUT_TORCH = """
import sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "numpy", "safetensors"):
            raise ModuleNotFoundError(name, name=name.partition(".")[0])
sys.meta_path.insert(0, Refused())
import opscope
from pathlib import Path
program = opscope.load(sys.argv[1])
print(len(program.graph.nodes(op="aten::linear")), program.guards, program.parameter_count)
print(program.apply("dce,cse").changed, program.summary().to_json()[:1])
print(program.save(Path(sys.argv[1]).with_name("b.opscope")) and len(opscope.to_dot(program)) > 100)
print(program.save(Path(sys.argv[1]).with_name("b.dot")).exists(), opscope.load(sys.argv[1]).has_state)
try:
    program(1)
except Exception as error:
    print(type(error).__name__, str(error).splitlines()[0])
assert "torch" not in sys.modules
"""


def test_all_but_a_replay_works_without_torch(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    path = opscope.trace(model, torch.ones(1, 4)).save(tmp_path / "net.opscope")
    command = [sys.executable, "-c", WITHOUT_TORCH, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "2 () 58",
        "False {",
        "True",
        "True True",
        "ReplayError torch is not installed, and a replay needs it; the graph needs none",
    ]
    x = torch.randn(3, 4)
    assert torch.equal(opscope.load(tmp_path / "b.opscope")(x), model(x))


def test_a_partial_is_saved_as_what_it_calls(tmp_path: Path) -> None:
    loaded = saved(
        opscope.trace(partial(torch.add, alpha=2), (torch.ones(2), torch.ones(2))), tmp_path
    )
    assert loaded(torch.ones(2), torch.ones(2)).tolist() == [3, 3]


def test_a_loaded_program_is_called_by_a_trace_as_a_traced_one_is(tmp_path: Path) -> None:
    loaded = saved(opscope.trace(nn.Linear(4, 2), torch.ones(1, 4)), tmp_path)
    around = opscope.trace(lambda x: loaded(x) + 1, torch.ones(1, 4))
    assert [node.kind for node in around.graph.block] == ["prim::call", "aten::add.Tensor"]
    assert not around.diagnostics
    x = torch.randn(3, 4)
    assert torch.equal(around(x), loaded(x) + 1)


def test_modes_around_the_first_call_do_not_reach_the_state(tmp_path: Path) -> None:
    from torch._subclasses import FakeTensorMode

    loaded = saved(opscope.trace(nn.Linear(4, 2), torch.ones(1, 4)), tmp_path)
    with FakeTensorMode(), torch.inference_mode():
        weight = loaded.state["weight"]
    assert type(weight) is nn.Parameter
    assert not weight.is_inference()
    assert loaded(torch.ones(1, 4)).requires_grad


def test_whatever_a_file_says_of_a_program_is_one_or_an_error(tmp_path: Path) -> None:
    case = training()
    assert case.first is not None
    case.program(*case.first)
    traced = opscope.trace(case.program, case.calls[0], warn=False)
    path = traced.save(tmp_path / "program.opscope")
    read = made = 0
    for mutant in mutants(path, 150, seed=3):
        try:
            loaded = opscope.load(mutant)
        except FormatError:
            continue
        use(loaded)
        read += 1
        try:
            made += isinstance(loaded.traced, opscope.TracedProgram)
        except (FormatError, ReplayError):
            continue
    assert read >= made > 0


def test_a_class_that_runs_code_when_an_object_goes_is_not_made(tmp_path: Path) -> None:
    traced = opscope.trace(lambda x: Pair(x, x + 1), torch.ones(2))
    path = traced.save(tmp_path / "net.opscope")
    assert opscope.load(path)(torch.ones(2)).two.tolist() == [2, 2]
    Pair.__del__ = lambda self: None  # type: ignore[attr-defined]
    try:
        with pytest.raises(ReplayError, match="runs code of its own when an object goes"):
            opscope.load(path)(torch.ones(2))
    finally:
        del Pair.__del__  # type: ignore[attr-defined]


class Pair:
    """What a program returns."""

    def __init__(self, one: torch.Tensor, two: torch.Tensor) -> None:
        self.one = one
        self.two = two


def test_constants_that_passes_computed_hold_a_replay_to_what_they_were_computed_with(
    tmp_path: Path,
) -> None:
    def program(x: torch.Tensor) -> torch.Tensor:
        return x + torch.ones(2).exp()

    traced = opscope.trace(program, torch.ones(2))
    early = saved(traced, tmp_path)
    traced.apply("constant_propagation")
    assert any("get_default_dtype" in each.text for each in traced.circumstances)
    late = opscope.load(traced.save(tmp_path / "late.opscope"))
    assert late.traced.private == traced.private != ()
    early.traced.apply("constant_propagation")
    assert str(early.graph) == str(traced.graph)
    x = torch.randn(2)
    assert torch.equal(early(x), program(x))
    assert torch.equal(late(x), program(x))
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(GuardError, match="get_default_dtype"):
            late(x)
    finally:
        torch.set_default_dtype(torch.float32)


def test_passes_take_state_out_of_a_program_that_is_then_saved(tmp_path: Path) -> None:
    bias = torch.ones(2)

    def program(x: torch.Tensor) -> torch.Tensor:
        bias.exp()
        return x + torch.tensor([1.0, 2.0])

    loaded = saved(opscope.trace(program, torch.ones(2), warn=False), tmp_path)
    loaded.apply("dce", "noopt")
    for name in [name for name, entry in loaded.graph.state.items() if not entry.value.is_used]:
        loaded.graph.remove_state(name)
    again = opscope.load(loaded.save(tmp_path / "again.opscope"))
    assert list(again.state) == list(loaded.graph.state)
    x = torch.randn(2)
    assert torch.equal(again(x), program(x))
    assert torch.equal(loaded(x), program(x))


@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps])
def test_what_holds_a_model_says_that_it_is_saved_and_not_pickled(
    copied: Callable[[Any], Any], tmp_path: Path
) -> None:
    net = torch.nn.Linear(2, 2)
    traced = opscope.trace(net, torch.ones(1, 2))
    loaded = opscope.load(traced.save(tmp_path / "net.opscope"))
    for program in (traced, loaded):
        with pytest.raises(opscope.ReplayError, match=r"save\(\) it, and load\(\) the file"):
            copied(program)
    with pytest.raises(opscope.ReplayError, match=r"save\(\) them, and load_module\(\)"):
        copied(opscope.trace_module(net, {"forward": torch.ones(1, 2)}))


def test_a_shallow_copy_replays_the_same_graph() -> None:
    traced = opscope.trace(torch.nn.Linear(2, 2), torch.ones(1, 2))
    same = copy.copy(traced)
    assert same.graph is traced.graph
    assert torch.equal(same(torch.ones(1, 2)), traced(torch.ones(1, 2)))
