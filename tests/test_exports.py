"""Programs in the formats of other tools, as files and as text."""

import json
from pathlib import Path

import networkx
import pytest
import torch

import opscope
from opscope.exports import EXPORTS
from opscope.ir import parse

_NET = """
    graph Net(%x : f32[4]):
      %y : f32[4] = aten::neg(%x) # net.py:1 block (Block)
      return (%y)
"""


@pytest.mark.parametrize("suffix", [*EXPORTS, ".mmd"])
def test_a_file_holds_what_the_function_of_its_format_gives(tmp_path: Path, suffix: str) -> None:
    written = {
        ".explorer.json": opscope.to_model_explorer,
        ".nodelink.json": opscope.to_node_link,
        ".netron": opscope.to_netron,
        ".graphml": opscope.to_graphml,
        ".mmd": opscope.to_mermaid,
    }
    graph = parse(_NET)
    path = tmp_path / f"net.v1{suffix}"
    path.write_text("old")
    assert opscope.save(graph, path) == path
    assert path.read_text(encoding="utf-8") == written[suffix](graph)
    assert list(tmp_path.iterdir()) == [path]


def test_any_case_of_a_suffix_is_known(tmp_path: Path) -> None:
    path = opscope.save(parse(_NET), tmp_path / "net.Netron")
    assert path.read_text().startswith('{"signature": "netron:')


def test_json_alone_is_refused_with_the_kinds_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        opscope.RenderError,
        match=r"name it net\.explorer\.json for Model Explorer, or net\.nodelink\.json",
    ):
        opscope.save(parse(_NET), tmp_path / "net.json")
    assert list(tmp_path.iterdir()) == []


def test_options_of_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        opscope.RenderError, match=r"depth is for pictures; \.netron files hold the whole graph"
    ):
        opscope.save(parse(_NET), tmp_path / "net.netron", depth=2)


class Net(torch.nn.Module):
    """Has a condition, a symbolic size, and complex numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor, p: torch.Tensor) -> dict[str, torch.Tensor]:
        y = torch.cond(p, lambda a: a.sin(), lambda a: a.cos(), (self.fc(x),))
        return {"flat": y.view(x.shape[0], -1), "waves": torch.fft.fft(y)}


def test_a_traced_program_is_exported_with_the_names_of_its_outputs() -> None:
    inputs = (torch.ones(3, 4), torch.tensor(True))
    with torch.no_grad():
        traced = opscope.trace(Net(), inputs, dynamic={"x": {0: "batch"}}, warn=False)
    graphs = {
        graph["id"]: graph for graph in json.loads(opscope.to_model_explorer(traced))["graphs"]
    }
    assert list(graphs) == ["Net", "Net · cond node2 · if true", "Net · cond node2 · if false"]
    labels = {node["id"]: node["label"] for node in graphs["Net"]["nodes"]}
    assert (labels["output0"], labels["output1"]) == ("flat", "waves")
    netron = json.loads(opscope.to_netron(traced))["graphs"][0]
    assert [output["name"] for output in netron["outputs"]] == ["flat", "waves"]
    read = networkx.parse_graphml(opscope.to_graphml(traced))
    assert read.nodes["output1"]["dtype"] == "complex64"


def test_numbers_of_nodes_are_an_overlay() -> None:
    graph = parse(_NET)
    numbers = {node: 3.0 for node in graph.walk()}
    told = json.loads(opscope.to_model_explorer_overlay(graph, numbers))
    assert told["Net"]["results"] == {"node0": {"value": 3.0}}


def test_a_training_step_and_its_outlined_layers_are_exported() -> None:
    blocks = [torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()) for _ in range(3)]
    model = torch.nn.Sequential(*blocks)
    optimizer = torch.optim.AdamW(model.parameters())

    def train(x: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad()
        loss = model(x).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    train(torch.ones(2, 4))
    step = opscope.trace(train, torch.ones(2, 4), warn=False)
    (graph,) = json.loads(opscope.to_model_explorer(step))["graphs"]
    layers = {way.split("/")[0] for way in graph["groupNodeAttributes"]}
    assert {"", "backward", "optimizer"} <= layers
    forward = opscope.trace(model, torch.ones(2, 4))
    flat = opscope.to_netron(forward)
    forward.apply("outline{scopes=*}")
    assert forward.graph.functions
    outlined = json.loads(opscope.to_netron(forward))["graphs"][0]
    assert [node["type"] for node in outlined["nodes"]] == [
        node["type"] for node in json.loads(flat)["graphs"][0]["nodes"]
    ]


@pytest.mark.parametrize("name", ["net", "net.txt", "net.onnx"])
def test_an_unknown_suffix_is_refused_with_all_there_are(tmp_path: Path, name: str) -> None:
    with pytest.raises(opscope.RenderError, match=r"choose from \.opscope, \.html, .*\.netron"):
        opscope.save(parse(_NET), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
