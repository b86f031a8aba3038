"""ResNet-50 in plain torch, for the image encoder of the published method.

He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016), in the common variant "v1.5": the stride of a
block sits in its 3 x 3 convolution. Module names are those of torchvision, so a state dict of its ImageNet weights
loads by name (they ship with no package that can be installed here, so training starts from scratch).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

BLOCKS = (3, 4, 6, 3)
WIDTHS = (64, 128, 256, 512)
EXPANSION = 4
FEATURES = EXPANSION * WIDTHS[-1]


class Bottleneck(nn.Module):
    """1 x 1 to `width` channels, 3 x 3 with the stride, 1 x 1 to four times as many, and the shortcut."""

    def __init__(self, channels_in: int, width: int, stride: int):
        super().__init__()
        channels_out = EXPANSION * width
        self.conv1, self.bn1 = nn.Conv2d(channels_in, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out)
        self.downsample = None
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = functional.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


class ResNet50(nn.Module):
    """Images (batch, 3, height, width) of any size from 32 pixels -> features (batch, 2048); with `classes`, scores
    (batch, classes) by a last linear layer `fc`."""

    def __init__(self, classes: int = 0):
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        channels = WIDTHS[0]
        for stage, (blocks, width) in enumerate(zip(BLOCKS, WIDTHS, strict=True)):
            layers = []
            for block in range(blocks):
                layers.append(Bottleneck(channels, width, 2 if stage and not block else 1))
                channels = EXPANSION * width
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.fc = nn.Linear(FEATURES, classes) if classes else None
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(images)), inplace=True)
        x = functional.max_pool2d(x, 3, 2, padding=1)
        for stage in range(len(BLOCKS)):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        x = torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1)
        return x if self.fc is None else self.fc(x)
