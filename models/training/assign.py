"""Which cells learn which object, and the losses.

An object belongs to the levels whose size range holds it (the ranges overlap, so sizes near a border are
learned twice), there to the cells near its centre. Where objects overlap, the smaller one wins.
"""

import torch
import torch.nn.functional as F

from net import STRIDES, decode

# Square root of the area in pixels, per stride.
RANGES = {4: (0.0, 22.0), 8: (14.0, 60.0), 16: (44.0, 130.0), 32: (100.0, float("inf"))}
# Cells inside an object but not near its centre are neither clearly right nor clearly wrong.
INSIDE_WEIGHT = 0.5


class Targets:
    """Assigns the boxes of pictures of one size."""

    def __init__(self, centres, strides, classes):
        self.centres, self.strides, self.classes = centres, strides, classes
        reach = strides[:, 0]
        self.low = torch.zeros_like(reach)
        self.high = torch.zeros_like(reach)
        for stride in STRIDES:
            self.low[reach == stride], self.high[reach == stride] = RANGES[stride]

    def __call__(self, boxes):
        """Rows of class, corners, ignore to: index of the box that each cell learns (-1: none), the boxes that
        count, and the weight a x classes of "nothing here"."""
        weights = torch.ones(len(self.centres), self.classes)
        counted, ignored = boxes[boxes[:, 5] == 0], boxes[boxes[:, 5] != 0]
        for row in ignored:
            category = int(row[0])
            inside = ((self.centres >= row[1:3]) & (self.centres <= row[3:5])).all(1)
            # A region smaller than a cell may hold no centre at all: then its nearest cells.
            near = (self.centres - (row[1:3] + row[3:5]) / 2).abs().amax(1) <= self.strides[:, 0] * 0.75
            weights[inside | near, category] = 0
        owner = torch.full((len(self.centres),), -1, dtype=torch.long)
        if not len(counted):
            return owner, counted, weights

        sizes = counted[:, 3:5] - counted[:, 1:3]
        area = sizes.prod(1)
        side = area.sqrt()
        offset = (self.centres[:, None] - ((counted[:, 1:3] + counted[:, 3:5]) / 2)[None]).abs()
        inside = (offset < sizes[None] / 2).all(-1)
        central = (offset < 1.5 * self.strides[:, None]).all(-1)
        # At least one cell per object, however small it is.
        nearest = (offset <= 0.5 * self.strides[:, None] + 1e-3).all(-1)
        fits = (side >= self.low[:, None]) & (side <= self.high[:, None])
        learns = fits & ((inside & central) | nearest)
        cost = torch.where(learns, area[None], torch.inf)
        best, index = cost.min(1)
        owner = torch.where(best < torch.inf, index, owner)
        for category in range(self.classes):
            of_class = counted[:, 0] == category
            if of_class.any():
                weights[inside[:, of_class].any(1) & (owner < 0), category] *= INSIDE_WEIGHT
        return owner, counted, weights


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
    """
    wanted = torch.zeros_like(logits)
    weights = torch.ones_like(logits)
    pictures, cells, rows = [], [], []
    for number, picture in enumerate(boxes):
        owner, counted, weights[number] = targets(picture)
        learning = (owner >= 0).nonzero()[:, 0]
        pictures.append(torch.full_like(learning, number))
        cells.append(learning)
        rows.append(counted[owner[learning]])
    pictures, cells, rows = torch.cat(pictures), torch.cat(cells), torch.cat(rows)

    box_loss, fit = distances.sum() * 0, torch.zeros(())
    if len(rows):
        found = decode(distances[pictures, cells], targets.centres[cells], targets.strides[cells])
        iou, diou = overlap(found, rows[:, 1:5])
        box_loss = (1 - diou).sum()
        fit = iou.detach().sum()
        categories = rows[:, 0].long()
        wanted[pictures, cells, categories] = iou.detach().clamp(min=0.05).sqrt()
        weights[pictures, cells, categories] = 1.0
    miss = (logits.detach().sigmoid() - wanted).abs().pow(gamma)
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (entropy * miss * weights).sum(), box_loss, len(rows), float(fit)
