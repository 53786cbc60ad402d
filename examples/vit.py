"""A vision transformer in plain torch: "An Image is Worth 16x16 Words", Dosovitskiy et al., 2020."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttention(nn.Module):
    """Every patch attends to all patches."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v)
        y: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return y


class EncoderBlock(nn.Module):
    """Attention, then an MLP, each normalized before and added to the residual stream."""

    def __init__(self, width: int, heads: int, mlp_width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attention = SelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_width),
            nn.GELU(),
            nn.Linear(mlp_width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x


class VisionTransformer(nn.Module):
    """Patches, a class token and positions into a stack of encoder blocks and a linear classifier.

    Args:
        image: side of the images, in pixels; a multiple of ``patch``.
        patch: side of a patch, in pixels.
        width: channels of the residual stream; a multiple of ``heads``.
        layers: the number of encoder blocks.
        heads: attention heads in each.
        classes: the number of classes.
    """

    def __init__(
        self,
        image: int = 224,
        patch: int = 16,
        width: int = 768,
        layers: int = 12,
        heads: int = 12,
        classes: int = 1000,
    ) -> None:
        super().__init__()
        patches = (image // patch) ** 2
        self.patches = nn.Conv2d(3, width, kernel_size=patch, stride=patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, patches + 1, width).normal_(std=0.02))
        self.blocks = nn.Sequential(
            *(EncoderBlock(width, heads, mlp_width=4 * width) for _ in range(layers))
        )
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of every image, [N, classes], given images [N, 3, image, image]."""
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1)
        x = self.blocks(x + self.positions)
        logits: Tensor = self.head(self.norm(x[:, 0]))
        return logits


def vit_b_16(image: int = 224, classes: int = 1000) -> VisionTransformer:
    """Return a ViT-B/16."""
    return VisionTransformer(image=image, classes=classes)
