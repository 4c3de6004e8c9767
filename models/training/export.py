"""Writes a checkpoint as the ONNX file that floutage loads, and checks that ONNX Runtime computes the same.

    python export.py RUN/last.pt new.onnx

Input `image` n x 3 x h x w, BGR 0-255, h and w multiples of 32. Outputs `boxes` n x a x 4, corners in input pixels,
and `scores` n x a x classes; overlaps are not suppressed. Opset 17, standard operators only; batch, height and width
are free.
"""

import argparse
import os
import sys

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

import weights
from detectors import OnnxDetector
from net import LOG_MAX, LOG_MIN, STRIDES, flat

OPSET = 17
# Pixels and confidence by which PyTorch and ONNX Runtime may differ.
BOX_TOLERANCE, SCORE_TOLERANCE = 0.05, 1e-4


class Exported(nn.Module):
    """The network with decoded boxes and confidences."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, image):
        boxes, scores = [], []
        for stride, (logits, distances) in zip(STRIDES, self.model.levels(image)):
            d = torch.exp(distances.clamp(LOG_MIN, LOG_MAX)) * float(stride)
            # Running sums of ones give the cells' centres for any size of input.
            ones = torch.ones_like(d[:, :1])
            x = (torch.cumsum(ones, 3) - 0.5) * float(stride)
            y = (torch.cumsum(ones, 2) - 0.5) * float(stride)
            boxes.append(torch.cat([x - d[:, 0:1], y - d[:, 1:2], x + d[:, 2:3], y + d[:, 3:4]], 1))
            scores.append(torch.sigmoid(logits))
        return flat(boxes), flat(scores)


def fold(module):
    """Folds normalisation into the convolutions before it."""
    for child in module.children():
        fold(child)
    if isinstance(module, nn.Sequential) and len(module) > 1 and isinstance(module[1], nn.BatchNorm2d):
        module[0] = fuse_conv_bn_eval(module[0], module[1])
        module[1] = nn.Identity()


def work(model, height=384, width=640):
    """Multiplications and additions for one input, in thousand millions."""
    total = 0

    def count(conv, _, output):
        nonlocal total
        inputs = conv.in_channels // conv.groups * conv.kernel_size[0] * conv.kernel_size[1]
        total += 2 * inputs * output.numel()

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        model(torch.zeros(1, 3, height, width))
    for hook in hooks:
        hook.remove()
    return total / 1e9


def export(model, path):
    operations = work(model)
    module = Exported(model).eval()
    fold(module)
    names = {"image": {0: "n", 2: "h", 3: "w"}, "boxes": {0: "n", 1: "a"}, "scores": {0: "n", 1: "a"}}
    torch.onnx.export(
        module,
        (torch.zeros(1, 3, 384, 640),),
        path,
        opset_version=OPSET,
        input_names=["image"],
        output_names=["boxes", "scores"],
        dynamic_axes=names,
        dynamo=False,
    )
    graph = onnx.load(path)
    entry = graph.metadata_props.add()
    # The sizes of the network, so that training can go on from this file.
    entry.key, entry.value = weights.METADATA_KEY, model.config.to_json()
    onnx.checker.check_model(graph, full_check=True)
    foreign = {node.domain for node in graph.graph.node} - {"", "ai.onnx"}
    if foreign:
        raise ValueError(f"operators outside ONNX's own: {foreign}")
    onnx.save(graph, path)
    return module, operations


def compare(module, path):
    """Largest differences in pixels and confidence over several shapes of input."""
    detector = OnnxDetector(path)
    worst = np.zeros(2)
    generator = np.random.default_rng(0)
    for count, height, width in ((1, 384, 640), (2, 256, 320), (3, 96, 32), (1, 736, 1280)):
        # Coarse blocks: noise alone excites no large objects.
        blocks = generator.uniform(0, 255, (count, 3, height // 16, width // 16))
        image = np.kron(blocks, np.ones((16, 16))).astype(np.float32)
        found = detector.run(image)
        with torch.no_grad():
            boxes, scores = module(torch.from_numpy(image))
        if found["boxes"].shape != tuple(boxes.shape):
            raise ValueError(f"boxes are {found['boxes'].shape} instead of {tuple(boxes.shape)}")
        worst = np.maximum(
            worst, (np.abs(found["boxes"] - boxes.numpy()).max(), np.abs(found["scores"] - scores.numpy()).max())
        )
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("onnx")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = weights.averaged(args.checkpoint)
    module, operations = export(model, args.onnx)
    boxes, scores = compare(module, args.onnx)
    size = os.path.getsize(args.onnx)
    print(f"{args.onnx}: {size} bytes, {operations:.2f} GFLOPs at 640x384")
    print(f"largest difference to PyTorch: {boxes:.5f} pixels, {scores:.2e} confidence")
    if boxes > BOX_TOLERANCE or scores > SCORE_TOLERANCE:
        sys.exit("export: ONNX Runtime does not compute what PyTorch does")


if __name__ == "__main__":
    main()
