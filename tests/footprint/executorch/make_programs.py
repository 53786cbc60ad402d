"""Make the programs of ExecuTorch that the tests read, and what its own tool lists of each.

Run with ``pip install executorch==1.5.1 torch==2.13.0`` in an environment of its own:

    python tests/footprint/executorch/make_programs.py
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import executorch.kernels.quantized  # noqa: F401 - registers what quantized models call
import torch
import yaml
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
    XNNPACKQuantizer,
    get_symmetric_quantization_config,
)
from executorch.codegen.tools.gen_oplist import main as gen_oplist
from executorch.exir import EdgeCompileConfig, to_edge, to_edge_transform_and_lower
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

FOLDER = Path(__file__).parent / "programs"


class Perceptron(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)
        )

    def forward(self, x: torch.Tensor) -> Any:
        return self.layers(x).softmax(-1)


class Flow(torch.nn.Module):
    """Control flow, sizes, lists of tensors, and two types of elements."""

    def forward(self, x: torch.Tensor, index: torch.Tensor) -> Any:
        chosen = torch.cond(x.sum() > 0, lambda t: t * 2, lambda t: t - 1, (x,))
        whole = torch.cat([chosen, x])
        whole = whole.reshape(whole.shape[0] * 4)
        return whole.index_put((index,), whole.new_zeros(2)), index + index, whole.sin().double()


class Image(torch.nn.Module):
    """A part that XNNPACK takes, and one that it leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 2, 3)

    def forward(self, x: torch.Tensor) -> Any:
        return torch.cumsum(self.conv(x), 1)


def quantized() -> Any:
    inputs = (torch.randn(1, 4),)
    model = torch.export.export(Perceptron().eval(), inputs).module()
    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config())
    prepared = prepare_pt2e(model, quantizer)
    prepared(*inputs)
    return torch.export.export(convert_pt2e(prepared), inputs)


def programs() -> Iterable[tuple[str, bytes]]:
    rows = torch.export.Dim("rows", max=8)
    flow = torch.export.export(
        Flow(), (torch.randn(2, 4), torch.tensor([0, 1])), dynamic_shapes=({0: rows}, None)
    )
    yield "flow", to_edge(flow).to_executorch().buffer
    unchecked = EdgeCompileConfig(_check_ir_validity=False)
    yield "quantized", to_edge(quantized(), compile_config=unchecked).to_executorch().buffer
    image = torch.export.export(Image().eval(), (torch.randn(1, 1, 4, 4),))
    lowered = to_edge_transform_and_lower(image, partitioner=[XnnpackPartitioner()])
    yield "delegated", lowered.to_executorch().buffer


def main() -> None:
    torch.manual_seed(0)
    FOLDER.mkdir(exist_ok=True)
    for name, content in programs():
        path = FOLDER / f"{name}.pte"
        path.write_bytes(content)
        with tempfile.TemporaryDirectory() as folder:
            listed = Path(folder) / "listed.yaml"
            gen_oplist(["--model_file_path", str(path), "--output_path", str(listed)])
            facts = yaml.safe_load(listed.read_text())
        kept = {
            "operators": sorted(facts["operators"]),
            "et_kernel_metadata": {
                operator: sorted(keys) for operator, keys in facts["et_kernel_metadata"].items()
            },
        }
        path.with_suffix(".yaml").write_text(yaml.safe_dump(kept))


if __name__ == "__main__":
    main()
