"""Training crops: single views, mosaics, dense mosaics of tiny faces, crowds, plain ones; with what is drawn onto them."""

import math

import cv2
import numpy as np

import distractors
import paste
import photo
import plates
from coco import FACE, PLATE
from views import Chooser, Range, clip, log_uniform, take

# Shares of the crops. Large faces get a quarter, since nothing else shows them; far crowds a fifth.
KINDS = {"single": 0.27, "large": 0.25, "two": 0.19, "three": 0.10, "dense": 0.11, "crowd": 0.08, "plain": 0.06}
GRID = {"single": 1, "two": 2, "three": 3}
# Most faces of one crowd: more would drown the rest of a batch.
CROWD = 60
PLATE_BANK, DISTRACTOR_BANK = 800, 240


class Sampler:
    """Draws square crops of `side` pixels with their boxes.

    `hard`: picture index to regions that a detector took for objects wrongly (see mine.py).
    `heads`: what heads.read() gave.
    """

    def __init__(self, pictures, side, seed, weights=None, hard=None, heads=(), hard_share=0.12):
        self.side = side
        self.rng = np.random.default_rng(seed)
        self.chooser = Chooser(pictures, weights, hard or {}, hard_share, self.rng)
        self.plates = plates.bank(PLATE_BANK, self.rng)
        self.distractors = distractors.bank(DISTRACTOR_BANK, self.rng)
        self.heads = list(heads)
        self.kinds = list(KINDS)
        self.shares = np.array(list(KINDS.values())) / sum(KINDS.values())
        self.any_faces = self.chooser.any_faces

    def sample(self):
        """A BGR crop and its boxes, rows of coco.BOX."""
        kind = self.kinds[self.rng.choice(len(self.kinds), p=self.shares)]
        if not self.any_faces and kind in ("large", "crowd"):
            kind = "single"
        if kind == "large":
            pixels, boxes = self.large()
        elif kind == "crowd":
            pixels, boxes = self.crowd()
        elif kind == "plain":
            pixels, boxes = self.plain()
        elif kind == "dense":
            pixels, boxes = self.mosaic(int(self.rng.integers(4, 6)), dense=True)
        else:
            pixels, boxes = self.mosaic(GRID[kind], dense=False)
        return photo.distort(pixels, self.rng), boxes.astype(np.float32)

    def large(self):
        """A face that takes up much of the crop, or more than fits."""
        side = self.side
        found = self.chooser.face(at_least=0.4 * side / 3.2)
        if found is None:
            return self.mosaic(1, dense=False)
        picture, (_, x1, y1, x2, y2, _) = found
        scale = log_uniform(self.rng, 0.3 * side, 1.2 * side) / math.sqrt((x2 - x1) * (y2 - y1))
        pixels, boxes, vehicles = take(picture, ((x1 + x2) / 2, (y1 + y2) / 2), min(scale, 3.2), side, self.rng)
        return pixels, self.decorate(pixels, boxes, vehicles)

    def plain(self):
        """A surface with next to nothing on it: a road from above, a wall, the sky. Cheeks that fill a crop look like it."""
        rng, side = self.rng, self.side
        if rng.random() < 0.5:
            picture = self.chooser.picture()
            place = rng.uniform(0, picture.width), rng.uniform(0, picture.height)
            pixels, boxes, vehicles = take(picture, place, log_uniform(rng, 1.2, 3.2), side, rng)
            return pixels, self.decorate(pixels, boxes, vehicles)
        shade = rng.integers(20, 236) + rng.normal(0, 1, 3) * (25 if rng.random() < 0.5 else 4)
        # Uneven at several scales, as asphalt and plaster are.
        for cells in (2, 5, 40, side):
            spots = rng.normal(0, log_uniform(rng, 0.5, 12), (cells, cells, 1)).astype(np.float32)
            spots = cv2.resize(spots, (side, side), interpolation=cv2.INTER_CUBIC)
            shade = shade + spots.reshape(side, side, 1)
        pixels = np.clip(shade, 0, 255).astype(np.uint8)
        for _ in range(rng.integers(0, 4)):
            start, end = rng.integers(-side // 2, side + side // 2, (2, 2)).tolist()
            colour = rng.integers(0, 256, 3).tolist() if rng.random() < 0.3 else [int(rng.integers(150, 256))] * 3
            cv2.line(pixels, start, end, colour, int(log_uniform(rng, 1, 14)), cv2.LINE_AA)
        return pixels, self.decorate(pixels, np.zeros((0, 6), np.float32), np.zeros((0, 4), np.float32))

    def mosaic(self, cells, dense):
        """cells x cells views with uneven borders. Dense: each shrunk so that its faces are tiny."""
        rng, side = self.rng, self.side
        step = side / cells
        if dense:
            sizes, lowest = Range((5.5, 15.0), (4.5, 12.0)), 0.03
        else:
            sizes, lowest = Range((5.0, 0.85 * step), (5.0, 0.5 * step)), 0.1
        if cells == 1:
            pixels, boxes, vehicles = self.chooser.view(side, sizes, lowest)
            return pixels, self.decorate(pixels, boxes, vehicles)

        def borders():
            inner = rng.uniform(-0.24, 0.24, cells - 1) * step
            return np.round(np.arange(cells + 1) * step + np.concatenate([[0], inner, [0]])).astype(int)

        xs, ys = borders(), borders()
        pixels, parts = np.empty((side, side, 3), np.uint8), []
        for row in range(cells):
            for column in range(cells):
                width, height = xs[column + 1] - xs[column], ys[row + 1] - ys[row]
                cell, boxes, vehicles = self.chooser.view(max(width, height), sizes, lowest)
                if not dense:
                    boxes = self.decorate(cell, boxes, vehicles)
                boxes = clip(boxes, width, height)
                boxes[:, 1:5] += np.tile((xs[column], ys[row]), 2)
                pixels[ys[row] : ys[row + 1], xs[column] : xs[column + 1]] = cell[:height, :width]
                parts.append(boxes)
        return pixels, np.concatenate(parts)

    def crowd(self):
        """Rows of heads and shoulders, far ones first, over a view of something else."""
        rng, side = self.rng, self.side
        pixels, boxes, _ = self.chooser.view(side, Range((8.0, 60.0), (6.0, 40.0)))
        far = log_uniform(rng, 5.0, 13.0)
        growth = rng.uniform(1.0, 1.8)
        left, right = np.sort(rng.uniform(-0.1, 1.1, 2)) * side
        if right - left < 0.3 * side:
            left, right = 0.1 * side, 0.9 * side
        y, bottom = rng.uniform(0.0, 0.6) * side, rng.uniform(0.6, 1.05) * side
        # What stood there before shows through at best.
        boxes[paste.covered(boxes, np.array([left, y, right, bottom])) > 0.1, 5] = 1
        spread, rise = rng.uniform(1.5, 3.2), rng.uniform(1.1, 2.4)
        start, count = y, 0
        while y < bottom and count < CROWD:
            size = far * (1 + (growth - 1) * (y - start) / max(bottom - start, 1))
            x = left + rng.uniform(0, spread) * size
            while x < right and count < CROWD:
                at = np.array([x, y + rng.normal(0, 0.2 * size)])
                boxes = self.person(pixels, boxes, at, size * math.exp(rng.normal(0, 0.12)))
                x += spread * size * rng.uniform(0.7, 1.5)
                count += 1
            y += rise * size
        return pixels, boxes

    def person(self, pixels, boxes, centre, size):
        """Puts head and shoulders of a labelled face into the crop, the face `size` pixels large at `centre`."""
        found = self.chooser.face(at_least=16)
        if found is None:
            return boxes
        picture, (_, x1, y1, x2, y2, _) = found
        width, height = x2 - x1, y2 - y1
        # Around the face: hair above, chest below.
        area = np.array([x1 - 0.75 * width, y1 - 0.55 * height, x2 + 0.75 * width, y2 + 1.1 * height])
        area = np.clip(area, 0, (picture.width, picture.height) * 2)
        scale = size / math.sqrt(width * height)
        level = 0
        while level + 1 < len(picture.levels) and scale * 2**level <= 0.55:
            level += 1
        source = picture.levels[level]
        ratio = source.shape[1] / picture.width
        a, b, c, d = np.round(area * ratio).astype(int)
        low = np.round(centre + (area[:2] - ((x1 + x2) / 2, (y1 + y2) / 2)) * scale).astype(int)
        shape = np.maximum(np.round((area[2:] - area[:2]) * scale).astype(int), 3)
        high = low + shape
        if c - a < 3 or d - b < 3 or low.min() < 0 or high.max() > self.side:
            return boxes
        patch = cv2.resize(source[b:d, a:c], (int(shape[0]), int(shape[1])), interpolation=cv2.INTER_AREA)
        mirror = self.rng.random() < 0.5
        alpha = bust(int(shape[0]), int(shape[1])) if self.rng.random() < 0.7 else 1.0
        factor = shape / (area[2:] - area[:2])
        face = (np.array([x1, y1, x2, y2]) - np.tile(area[:2], 2)) * np.tile(factor, 2)
        if mirror:
            patch = patch[:, ::-1]
            face[[0, 2]] = shape[0] - face[[2, 0]]
        target = pixels[low[1] : high[1], low[0] : high[0]]
        target[:] = (target * (1 - alpha) + patch * alpha).astype(np.uint8)
        boxes = paste.hide(boxes, np.concatenate([low, high]).astype(np.float32))
        row = np.array([[FACE, *(face + np.tile(low, 2)), 0]], np.float32)
        return np.concatenate([boxes, clip(row, self.side, self.side)])

    def decorate(self, pixels, boxes, vehicles):
        """Draws distractors, heads and plates onto a view; gives its boxes afterwards."""
        boxes = self.add_distractor(pixels, boxes)
        if self.heads and self.rng.random() < 0.35:
            boxes = self.add_head(pixels, boxes)
        # Where plates are unknown, a drawn one would stand against nothing learned as background.
        known = not ((boxes[:, 0] == PLATE) & (boxes[:, 5] == 1) & covers(boxes, len(pixels))).any()
        count = (self.rng.random() < 0.42) + (self.rng.random() < 0.2) if known else self.rng.random() < 0.12
        for _ in range(int(count)):
            boxes = self.add_plate(pixels, boxes, vehicles)
        return boxes

    def add_distractor(self, pixels, boxes):
        rng, side = self.rng, len(pixels)
        if rng.random() > 0.22 or covers(boxes, side).any():
            return boxes
        patch, flat = self.distractors[rng.integers(len(self.distractors))]
        height = log_uniform(rng, 10, 0.7 * side)
        width = height * patch.shape[1] / patch.shape[0]
        centre = rng.uniform(0, side, 2)
        if flat:
            height *= rng.uniform(0.3, 0.8)
            corners = paste.ground(centre, width, height, rng)
        else:
            corners = paste.quad(centre, width, height, rng)
        box = np.concatenate([corners.min(0), corners.max(0)])
        # Where it would hide an object, do without it.
        if not paste.touches(boxes, box):
            paste.paste(pixels, patch, corners, rng, cut=True)
        return boxes

    def add_head(self, pixels, boxes):
        rng, side = self.rng, len(pixels)
        patch, face = self.heads[rng.integers(len(self.heads))]
        # What is no face is half of its patch, about.
        across = patch.shape[1] / 2 if face is None else face[2] - face[0]
        scale = log_uniform(rng, 5, 0.6 * side) / across
        size = np.array(patch.shape[1::-1]) * scale
        centre = rng.uniform(0, side, 2)
        low = centre - size / 2
        corners = np.array([low, (low[0] + size[0], low[1]), low + size, (low[0], low[1] + size[1])], np.float32)
        box = np.concatenate([low, low + size])
        if paste.touches(boxes, box):
            return boxes
        if paste.paste(pixels, patch, corners, rng, light=rng.random() < 0.5) is None or face is None:
            return boxes
        row = np.array([[FACE, *(face * scale + np.tile(low, 2)), 0]], np.float32)
        return np.concatenate([boxes, clip(row, side, side)])

    def add_plate(self, pixels, boxes, vehicles):
        """A drawn plate over a labelled one, else on a vehicle, else anywhere."""
        rng, side = self.rng, len(pixels)
        patch = self.plates[rng.integers(len(self.plates))]
        aspect = patch.shape[1] / patch.shape[0]
        large = (boxes[:, 0] == PLATE) & (boxes[:, 5] == 0) & (boxes[:, 3] - boxes[:, 1] >= 7)
        replaced = None
        # Now and then from far aside, as at the kerb.
        turn = 0.66 if rng.random() < 0.25 else 0.5
        if large.any() and rng.random() < 0.6:
            replaced = int(rng.choice(np.flatnonzero(large)))
            x1, y1, x2, y2 = boxes[replaced, 1:5]
            width = (x2 - x1) * rng.uniform(1.0, 1.12)
            height = max(y2 - y1, 0.8 * (x2 - x1) / aspect) * rng.uniform(0.98, 1.12)
            corners = paste.quad(((x1 + x2) / 2, (y1 + y2) / 2), width, height, rng, turn=0.15, roll=1.2)
        elif len(vehicles) and rng.random() < 0.8:
            x1, y1, x2, y2 = vehicles[rng.integers(len(vehicles))]
            width = (x2 - x1) * rng.uniform(0.14, 0.32)
            if width < 9:
                return boxes
            centre = x1 + (x2 - x1) * rng.uniform(0.25, 0.75), y1 + (y2 - y1) * rng.uniform(0.5, 0.9)
            corners = paste.quad(centre, width, width / aspect, rng, turn=turn)
        elif not len(boxes) and rng.random() < 0.25:
            # A plate that fills the view, nearly.
            width = log_uniform(rng, 0.35 * side, 0.95 * side) * min(1, aspect / 2)
            corners = paste.quad(rng.uniform(0.4, 0.6, 2) * side, width, width / aspect, rng)
        else:
            height = log_uniform(rng, 4.5, min(56, 0.16 * side))
            corners = paste.quad(rng.uniform(0, side, 2), height * aspect, height, rng, turn=turn)
        box = np.concatenate([corners.min(0), corners.max(0)])
        others = boxes if replaced is None else np.delete(boxes, replaced, 0)
        if paste.touches(others, box) or paste.paste(pixels, patch, corners, rng) is None:
            return boxes
        return np.concatenate([others, clip(np.array([[PLATE, *box, 0]], np.float32), side, side)])


def covers(boxes, side):
    """Which boxes are an ignore region over the whole view: nothing is known of that class there."""
    return (boxes[:, 5] == 1) & ((boxes[:, 3:5] - boxes[:, 1:3]) >= 0.98 * side).all(1)


def bust(width, height):
    """A mask of about the outline of head and shoulders, with soft edges."""
    mask = np.zeros((height * 4, width * 4), np.uint8)
    w, h = width * 4, height * 4
    cv2.ellipse(mask, (w // 2, int(0.38 * h)), (int(0.27 * w), int(0.36 * h)), 0, 0, 360, 255, -1)
    cv2.ellipse(mask, (w // 2, int(1.02 * h)), (int(0.5 * w), int(0.36 * h)), 0, 0, 360, 255, -1)
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)[..., None] / 255
