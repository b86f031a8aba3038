"""EfficientNet-lite0 trunk: the image features under the encoder.

Tan and Le, "EfficientNet: Rethinking Model Scaling for CNNs" (ICML 2019), in its lite variant: no
squeeze-and-excitation, ReLU6 everywhere. Batch normalisation is folded into the convolutions, because the trunk is only
ever run frozen, and the trunk ends in the middle: features of ground texture sit there, not in the last layers that
know dogs from cats.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

# (repeats, kernel, stride, expansion, channels) of each stage of lite0
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112))
STEM_CHANNELS = 32


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding, which the published weights were trained with."""

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        sizes = zip(reversed(x.shape[-2:]), reversed(self.kernel_size), reversed(self.stride), strict=True)
        for size, kernel, stride in sizes:
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, pads) if any(pads) else x)


class InvertedResidual(nn.Module):
    """Widen, convolve each channel by itself, narrow; with a shortcut where shapes agree (MobileNetV2, CVPR 2018)."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        hidden = channels_in * expansion
        self.expand = SameConv(channels_in, hidden, 1) if expansion > 1 else None
        self.depthwise = SameConv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = SameConv(hidden, channels_out, 1)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(self.expand(x)) if self.expand is not None else x
        y = self.project(functional.relu6(self.depthwise(y)))
        return x + y if self.residual else y


class Trunk(nn.Module):
    """Images (batch, 3, height, width) in -1..1 -> list of feature maps, one per stage of `tapped`."""

    def __init__(self, tapped: tuple[int, ...] = (1, 2, 3)):
        super().__init__()
        self.tapped = tapped
        self.stem = SameConv(3, STEM_CHANNELS, 3, 2)
        self.stages = nn.ModuleList()
        channels = STEM_CHANNELS
        for repeats, kernel, stride, expansion, channels_out in STAGES[: max(tapped) + 1]:
            blocks = []
            for repeat in range(repeats):
                first_stride = 1 if repeat else stride
                blocks.append(InvertedResidual(channels, channels_out, kernel, first_stride, expansion))
                channels = channels_out
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps (batch, channels, height, width), each smaller or deeper than the one before."""
        x = functional.relu6(self.stem(images))
        maps = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self.tapped:
                maps.append(x)
        return maps
