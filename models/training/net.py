"""The detector: a small fully convolutional network with one point per cell at strides 4, 8, 16 and 32.

Each point says, per class, how likely it belongs to an object, and how far the object's four sides are.
Depthwise and pointwise convolutions keep it at a few milliseconds on one core; the first two layers are
dense because at full resolution a dense 3x3 costs little and sees more.
"""

import dataclasses
import json

import torch
import torch.nn.functional as F
from torch import nn

STRIDES = (4, 8, 16, 32)
# Samples of 0-255 are brought to about zero mean and unit variance inside the network.
MEAN, SCALE = 114.0, 1.0 / 58.0
# exp() of the regression is clamped here: distances from 0.02 to 90 cells.
LOG_MIN, LOG_MAX = -4.0, 4.5


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes of the network; the defaults are those of floutage-v0."""

    channels: tuple = (16, 24, 64, 112, 160)
    repeats: tuple = (1, 3, 4, 3)
    kernels: tuple = (3, 3, 5, 5)
    pyramid: int = 48
    fine: int = 16  # channels of the pyramid at stride 4, where a channel costs most
    classes: int = 2

    @staticmethod
    def scaled(width=1.0, fine=None, repeats=None):
        """The default with all channels times `width`, in multiples of 16 unless `width` is 1.

        ONNX Runtime computes blocks of 16 channels with AVX-512: 24 channels take longer than 32.
        """

        def blocks(channels):
            return channels if width == 1 else max(16, int(channels * width / 16 + 0.5) * 16)

        base = Config()
        return Config(
            channels=tuple(blocks(c) for c in base.channels),
            pyramid=blocks(base.pyramid),
            fine=fine or blocks(base.fine),
            repeats=tuple(repeats or base.repeats),
        )

    def to_json(self):
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_json(text):
        values = json.loads(text)
        return Config(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


class Depthwise(nn.Conv2d):
    """A convolution that keeps to 32 bits: on processors the gradient of large depthwise kernels takes several
    times longer in 16."""

    def forward(self, x):
        if not torch.is_autocast_enabled("cpu"):
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float())


def conv(inputs, outputs, kernel=3, stride=1, groups=1, activation=True):
    kind = Depthwise if groups > 1 else nn.Conv2d
    layers = [
        kind(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    if activation:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class Block(nn.Module):
    """Depthwise, then pointwise; adds its input where the shapes allow."""

    def __init__(self, inputs, outputs, kernel=3, stride=1):
        super().__init__()
        self.depthwise = conv(inputs, inputs, kernel, stride, groups=inputs, activation=False)
        self.pointwise = conv(inputs, outputs, 1, activation=False)
        self.residual = inputs == outputs and stride == 1

    def forward(self, x):
        y = self.pointwise(self.depthwise(x))
        return F.relu(y + x) if self.residual else F.relu(y)


def stage(inputs, outputs, kernel, repeats):
    blocks = [Block(inputs, outputs, kernel, 2)]
    blocks += [Block(outputs, outputs, kernel) for _ in range(repeats - 1)]
    return nn.Sequential(*blocks)


class Head(nn.Module):
    """Class logits and box distances of one level. With one tower, both read the same features."""

    def __init__(self, channels, classes, towers):
        super().__init__()
        self.towers = nn.ModuleList(Block(channels, channels) for _ in range(towers))
        self.logits = nn.Conv2d(channels, classes, 1)
        self.distances = nn.Conv2d(channels, 4, 1)

    def forward(self, x):
        features = [tower(x) for tower in self.towers]
        return self.logits(features[0]), self.distances(features[-1])


class Detector(nn.Module):
    def __init__(self, config=Config()):
        super().__init__()
        self.config = config
        c, n, k = config.channels, config.repeats, config.kernels
        self.stem = conv(3, c[0], 3, 2)
        self.down = conv(c[0], c[1], 3, 2)
        self.stage4 = nn.Sequential(*[Block(c[1], c[1], k[0]) for _ in range(n[0])])
        self.stage8 = stage(c[1], c[2], k[1], n[1])
        self.stage16 = stage(c[2], c[3], k[2], n[2])
        self.stage32 = stage(c[3], c[4], k[3], n[3])
        p, f = config.pyramid, config.fine
        self.lateral32 = conv(c[4], p, 1)
        self.lateral16 = conv(c[3], p, 1)
        self.smooth16 = Block(p, p)
        self.lateral8 = conv(c[2], p, 1)
        self.smooth8 = Block(p, p)
        self.lateral4 = conv(c[1], f, 1)
        self.reduce4 = conv(p, f, 1)
        self.smooth4 = Block(f, f)
        self.heads = nn.ModuleList(Head(f if s == 4 else p, config.classes, 1 if s == 4 else 2) for s in STRIDES)
        self._initialise()

    def _initialise(self):
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for head in self.heads:
            # Objects are rare: start from a confidence of one in a hundred.
            nn.init.normal_(head.logits.weight, std=0.01)
            nn.init.constant_(head.logits.bias, -4.6)
            nn.init.normal_(head.distances.weight, std=0.01)
            nn.init.constant_(head.distances.bias, 0.7)

    def levels(self, x):
        """Per stride: logits n x classes x h x w and log distances n x 4 x h x w."""
        x = (x - MEAN) * SCALE
        x4 = self.stage4(self.down(self.stem(x)))
        x8 = self.stage8(x4)
        x16 = self.stage16(x8)
        x32 = self.stage32(x16)

        def up(y):
            return F.interpolate(y, scale_factor=2.0, mode="nearest")

        p32 = self.lateral32(x32)
        p16 = self.smooth16(self.lateral16(x16) + up(p32))
        p8 = self.smooth8(self.lateral8(x8) + up(p16))
        p4 = self.smooth4(self.lateral4(x4) + up(self.reduce4(p8)))
        return [head(p) for head, p in zip(self.heads, (p4, p8, p16, p32))]

    def forward(self, x):
        """BGR 0-255, sides multiples of 32, to logits n x a x classes and log distances n x a x 4."""
        logits, distances = zip(*self.levels(x))
        return flat(logits), flat(distances)


def flat(maps):
    return torch.cat([m.flatten(2).transpose(1, 2) for m in maps], 1)


def points(height, width):
    """Centres a x 2 of all cells of an input, and their strides a x 1, in the network's order."""
    centres, strides = [], []
    for stride in STRIDES:
        ys, xs = torch.meshgrid(torch.arange(height // stride), torch.arange(width // stride), indexing="ij")
        centres.append((torch.stack([xs, ys], -1).reshape(-1, 2) + 0.5) * stride)
        strides.append(torch.full((len(centres[-1]), 1), float(stride)))
    return torch.cat(centres), torch.cat(strides)


def decode(distances, centres, strides):
    """Log distances in cells to corners in input pixels."""
    d = torch.exp(distances.clamp(LOG_MIN, LOG_MAX)) * strides
    return torch.cat([centres - d[..., :2], centres + d[..., 2:]], -1)
