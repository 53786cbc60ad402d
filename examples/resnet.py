"""ResNet in plain torch: "Deep Residual Learning for Image Recognition", He et al., 2015."""

from __future__ import annotations

from torch import Tensor, nn


def conv3x3(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps the size of the image, divided by ``stride``."""
    return nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)


def conv1x1(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    """Return a 1x1 convolution."""
    return nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a skip connection."""

    expansion = 1  # output channels over ``width``

    def __init__(self, channels_in: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels_in, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _downsample(channels_in, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        y: Tensor = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += skip
        y = self.relu(y)
        return y


class Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1 ones, beside a skip connection."""

    expansion = 4  # output channels over ``width``

    def __init__(self, channels_in: int, width: int, stride: int = 1) -> None:
        super().__init__()
        channels_out = width * self.expansion
        self.conv1 = conv1x1(channels_in, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv1x1(width, channels_out)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _downsample(channels_in, channels_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.downsample is None else self.downsample(x)
        y: Tensor = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += skip
        y = self.relu(y)
        return y


def _downsample(channels_in: int, channels_out: int, stride: int) -> nn.Sequential | None:
    """Return what fits the skip connection to a block's output, where the two differ."""
    if stride == 1 and channels_in == channels_out:
        return None
    return nn.Sequential(
        conv1x1(channels_in, channels_out, stride),
        nn.BatchNorm2d(channels_out),
    )


class ResNet(nn.Module):
    """A stem, four stages of residual blocks, and a linear classifier.

    Args:
        block: the class of every block.
        depths: the number of blocks in each stage.
        classes: the number of classes.
        width: channels of the stem and of the first stage; each later stage has twice as many.
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        depths: tuple[int, int, int, int],
        classes: int = 1000,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.channels = width  # of the last block so far
        self.conv1 = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._stage(block, width, depths[0], stride=1)
        self.layer2 = self._stage(block, width * 2, depths[1], stride=2)
        self.layer3 = self._stage(block, width * 4, depths[2], stride=2)
        self.layer4 = self._stage(block, width * 8, depths[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(self.channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def _stage(
        self, block: type[BasicBlock | Bottleneck], width: int, depth: int, stride: int
    ) -> nn.Sequential:
        blocks = []
        for position in range(depth):
            blocks.append(block(self.channels, width, stride if position == 0 else 1))
            self.channels = width * block.expansion
        return nn.Sequential(*blocks)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of every image, [N, classes], given images [N, 3, height, width]."""
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.maxpool(x)
        x = self.layer1(x)
        x = self.layer2(x)
        x = self.layer3(x)
        x = self.layer4(x)
        x = self.avgpool(x).flatten(1)
        logits: Tensor = self.fc(x)
        return logits


def resnet18(classes: int = 1000, width: int = 64) -> ResNet:
    """Return a ResNet-18."""
    return ResNet(BasicBlock, (2, 2, 2, 2), classes, width)


def resnet50(classes: int = 1000, width: int = 64) -> ResNet:
    """Return a ResNet-50, which halves images in its 3x3 convolutions."""
    return ResNet(Bottleneck, (3, 4, 6, 3), classes, width)
