"""Trace a small network and print its graph."""

import torch
from torch import nn

import opscope


class Mlp(nn.Module):
    """Two linear layers with a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(16, 32)
        self.fc2 = nn.Linear(32, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.fc1(x))
        return self.fc2(hidden) + x


if __name__ == "__main__":
    model = Mlp().eval()
    x = torch.randn(8, 16)

    traced = opscope.trace(model, x)  # runs model(x) once, eagerly, and records every operator
    print(traced.graph)  # text that opscope.parse() reads back
    print(torch.equal(traced(x), model(x)))  # a replay gives what the model gives, bit for bit
    traced.save("mlp.svg")
