"""Checkpoints, and starting from weights that exist: a checkpoint, an exported graph, a smaller network."""

import dataclasses
import os

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from net import Config, Detector

METADATA_KEY = "floutage.config"


def save(path, state):
    """Atomic: a run that is killed while it writes leaves the previous checkpoint whole."""
    partial = f"{path}.partial"
    torch.save(state, partial)
    os.replace(partial, path)


def load(path):
    # Only tensors and plain containers are read, so a checkpoint from elsewhere cannot run code.
    return torch.load(path, map_location="cpu", weights_only=True)


def averaged(path):
    """The network of a checkpoint with its averaged weights."""
    checkpoint = load(path)
    model = Detector(Config.from_json(checkpoint["config"]))
    model.load_state_dict(checkpoint["average"])
    return model.eval()


def start(path, config, batch):
    """A network of `config` that computes what the weights at `path` (.onnx or checkpoint) compute.

    `batch`: some training pictures n x 3 x h x w; an exported graph has its normalisation folded into the
    convolutions, and these pictures tell with which statistics to unfold it.
    """
    source = from_onnx(path, batch) if path.endswith(".onnx") else averaged(path)
    if config is None or config == source.config:
        return source
    if config.channels[0] < source.config.channels[0]:
        source = narrow(source, config.channels[0])
    return grow(source, Detector(config))


def from_onnx(path, batch):
    """The network of a graph that `export.py` wrote (floutage-v0 names no config: it is the default)."""
    graph = onnx.load(path)
    metadata = {entry.key: entry.value for entry in graph.metadata_props}
    model = Detector(Config.from_json(metadata[METADATA_KEY]) if METADATA_KEY in metadata else Config()).eval()
    values = {tensor.name: tensor for tensor in graph.graph.initializer}
    folded = [
        [torch.from_numpy(np.array(numpy_helper.to_array(values[name]))) for name in node.input[1:]]
        for node in graph.graph.node
        if node.op_type == "Conv"
    ]

    # The graph lists convolutions in the order in which they run.
    order, hooks = [], []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_pre_hook(lambda conv, _: order.append(conv)))
    with torch.no_grad():
        model(torch.zeros(1, 3, 64, 64))
    for hook in hooks:
        hook.remove()
    if [tuple(conv.weight.shape) for conv in order] != [tuple(pair[0].shape) for pair in folded]:
        raise ValueError(f"{path} is not a graph of this network ({model.config})")

    norms = {}
    for module in model.modules():
        if isinstance(module, nn.Sequential) and len(module) > 1 and isinstance(module[1], nn.BatchNorm2d):
            norms[module[0]] = module[1]
    with torch.no_grad():
        for conv, (weight, bias) in zip(order, folded):
            conv.weight.copy_(weight)
            if conv.bias is not None:
                conv.bias.copy_(bias)
            else:
                norms[conv].register_forward_pre_hook(unfold(bias))
        model(batch)
    for norm in norms.values():
        norm._forward_pre_hooks.clear()
    return model


def unfold(bias):
    """Makes a batch normalisation the identity plus `bias` on the batch that it sees first, whether it then
    uses its own statistics or the batch's."""

    def hook(norm, inputs):
        x = inputs[0]
        mean = x.mean((0, 2, 3))
        variance = x.var((0, 2, 3), unbiased=False)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(bias + mean)

    return hook


def narrow(source, count):
    """`source` with the `count` channels of its first layer that the second layer weighs most.

    The loss is small, and mended by training: the first layer runs at half the input's resolution, where a
    channel costs most.
    """
    norm = source.stem[1]
    with torch.no_grad():
        read = source.down[0].weight.abs().sum((0, 2, 3)) * norm.weight.abs()
    kept = read.topk(count).indices.sort().values
    channels = (count, *source.config.channels[1:])
    target = Detector(dataclasses.replace(source.config, channels=channels))
    state = source.state_dict()
    for name in state:
        if name.startswith("stem.") and state[name].ndim:
            state[name] = state[name][kept]
    state["down.0.weight"] = state["down.0.weight"][:, kept]
    target.load_state_dict(state)
    return target.eval()


def grow(source, target):
    """Copies `source` into a network with more channels or blocks so that it computes the same.

    New channels exist but nothing reads them yet; new blocks add nothing yet.
    """
    old = source.state_dict()
    new = target.state_dict()
    for name, value in new.items():
        if name not in old:
            # A block that only the larger network has: silence what it adds.
            if name.endswith("pointwise.1.weight"):
                value.zero_()
            continue
        part = tuple(slice(0, side) for side in old[name].shape)
        if any(o > n for o, n in zip(old[name].shape, value.shape)):
            raise ValueError(f"{name} shrinks from {tuple(old[name].shape)} to {tuple(value.shape)}")
        if value.ndim == 4 and value.shape[1] > old[name].shape[1]:
            value[: old[name].shape[0], old[name].shape[1] :] = 0
        if value.ndim:
            value[part] = old[name]
        else:
            value.copy_(old[name])
    target.load_state_dict(new)
    return target.eval()
