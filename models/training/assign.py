"""Which cells learn which object, and the losses.

An object belongs to the levels whose size range holds it (the ranges overlap, so sizes near a border are
learned twice), there to the cells near its centre. Where objects overlap, the smaller one wins.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

from net import STRIDES, decode, points

# Square root of the area in pixels, per stride.
RANGES = {4: (0.0, 22.0), 8: (14.0, 60.0), 16: (44.0, 130.0), 32: (100.0, float("inf"))}
# Cells inside an object but not near its centre are neither clearly right nor clearly wrong.
INSIDE_WEIGHT = 0.5
# Learning cells of a picture up to which each counts fully; a single object has about so many.
FULL_CELLS = 16


class Targets:
    """Assigns the boxes of square crops of one size."""

    def __init__(self, side, classes):
        self.centres, self.strides = points(side, side)
        self.side, self.classes = side, classes

    def __call__(self, boxes):
        """Rows of class, corners, ignore to: index of the box that each cell learns (-1: none), the boxes that
        count, and the weight a x classes of "nothing here"."""
        rows = boxes.numpy()
        ignored, counted = rows[rows[:, 5] != 0], rows[rows[:, 5] == 0]
        # Large ones first, so that smaller ones overwrite them.
        counted = counted[np.argsort(-(counted[:, 3:5] - counted[:, 1:3]).prod(1), kind="stable")]
        owners, weights = [], []
        for stride in STRIDES:
            level_owner, level_weights = self.level(stride, counted, ignored)
            owners.append(level_owner.reshape(-1))
            weights.append(level_weights.reshape(-1, self.classes))
        return (
            torch.from_numpy(np.concatenate(owners)),
            torch.from_numpy(counted),
            torch.from_numpy(np.concatenate(weights)),
        )

    def level(self, stride, counted, ignored):
        """Slices of one level's grid: far fewer cells are touched than a comparison of all with all would take."""
        cells = self.side // stride
        owner = np.full((cells, cells), -1, np.int64)
        inside = np.zeros((cells, cells, self.classes), bool)
        weights = np.ones((cells, cells, self.classes), np.float32)
        low, high = RANGES[stride]
        for number, (category, x1, y1, x2, y2, _) in enumerate(counted.tolist()):
            whole = window(x1, y1, x2, y2, stride)
            inside[(*whole, int(category))] = True
            if low <= math.sqrt((x2 - x1) * (y2 - y1)) <= high:
                x, y = (x1 + x2) / 2, (y1 + y2) / 2
                reach = 1.5 * stride
                near = max(x1, x - reach), max(y1, y - reach), min(x2, x + reach), min(y2, y + reach)
                owner[window(*near, stride)] = number
                # At least one cell per object, however small it is.
                owner[around(x, y, 0.5, stride)] = number
        weights[inside & (owner < 0)[..., None]] = INSIDE_WEIGHT
        for category, x1, y1, x2, y2, _ in ignored.tolist():
            weights[(*window(x1, y1, x2, y2, stride), int(category))] = 0
            # A region smaller than a cell may hold no centre at all: then its nearest cells.
            weights[(*around((x1 + x2) / 2, (y1 + y2) / 2, 0.75, stride), int(category))] = 0
        return owner, weights


def window(x1, y1, x2, y2, stride):
    """Rows and columns of the cells whose centres lie in a box."""

    def span(low, high):
        return slice(max(0, math.ceil(low / stride - 0.5)), max(0, math.floor(high / stride - 0.5) + 1))

    return span(y1, y2), span(x1, x2)


def around(x, y, cells, stride):
    """Rows and columns of the cells whose centres are within so many cells of a point."""
    reach = cells * stride + 1e-3
    return window(x - reach, y - reach, x + reach, y + reach, stride)


def overlap(found, wanted):
    """IoU and DIoU of boxes, pairwise by row."""
    inner = (torch.minimum(found[:, 2:], wanted[:, 2:]) - torch.maximum(found[:, :2], wanted[:, :2])).clamp(min=0)
    shared = inner.prod(1)
    union = (found[:, 2:] - found[:, :2]).prod(1) + (wanted[:, 2:] - wanted[:, :2]).prod(1) - shared
    iou = shared / (union + 1e-6)
    hull = torch.maximum(found[:, 2:], wanted[:, 2:]) - torch.minimum(found[:, :2], wanted[:, :2])
    between = (found[:, :2] + found[:, 2:] - wanted[:, :2] - wanted[:, 2:]) / 2
    return iou, iou - between.square().sum(1) / (hull.square().sum(1) + 1e-6)


def losses(logits, distances, boxes, targets, gamma=2.0):
    """Sums over a batch: classification, boxes, number of learning cells, sum of their IoU.

    Quality focal loss: a cell's target confidence is how well its box fits, so that confidence ranks by fit.
    A picture with many learning cells counts by the root of their number: one crowd would otherwise weigh
    as much as forty pictures of a single face.
    """
    wanted = torch.zeros_like(logits)
    weights = torch.ones_like(logits)
    pictures, cells, rows, parts = [], [], [], []
    for number, picture in enumerate(boxes):
        owner, counted, weights[number] = targets(picture)
        learning = (owner >= 0).nonzero()[:, 0]
        pictures.append(torch.full_like(learning, number))
        cells.append(learning)
        rows.append(counted[owner[learning]])
        parts.append(min(1.0, (FULL_CELLS / max(len(learning), 1)) ** 0.5))
    parts = torch.tensor(parts)
    pictures, cells, rows = torch.cat(pictures), torch.cat(cells), torch.cat(rows)

    box_loss, fit, count = distances.sum() * 0, 0.0, 0.0
    if len(rows):
        found = decode(distances[pictures, cells], targets.centres[cells], targets.strides[cells])
        iou, diou = overlap(found, rows[:, 1:5])
        part = parts[pictures]
        box_loss = ((1 - diou) * part).sum()
        fit, count = float((iou.detach() * part).sum()), float(part.sum())
        categories = rows[:, 0].long()
        wanted[pictures, cells, categories] = iou.detach().clamp(min=0.05).sqrt()
        weights[pictures, cells, categories] = 1.0
    weights *= parts[:, None, None]
    miss = (logits.detach().sigmoid() - wanted).abs().pow(gamma)
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (entropy * miss * weights).sum(), box_loss, count, fit
