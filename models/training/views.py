"""One view of one picture: which part, how large, turned how, and where its boxes come to lie."""

import dataclasses
import math

import cv2
import numpy as np

from coco import FACE, PLATE

# Enlarging more than this shows pixels instead of features.
LARGEST_SCALE = 3.2
# An object of which less is seen is not learned (ignored); below the second, it is not there.
SEEN_ENOUGH, SEEN_AT_ALL = 0.45, 0.05
# Smaller ones are ignored.
SMALLEST_FACE, SMALLEST_PLATE = 4.0, (7.0, 4.0)


def log_uniform(rng, low, high):
    """In a view that is too small for `low`, `high` counts."""
    return math.exp(rng.uniform(math.log(min(low, high)), math.log(high)))


@dataclasses.dataclass(frozen=True)
class Range:
    """Sizes in pixels of the object that a view is made for: faces by the root of the area, plates by height."""

    face: tuple
    plate: tuple


def take(picture, focus, scale, side, rng, jitter=True):
    """A square view of `side` pixels with `focus` (x, y in the picture; None: the middle) at `scale`.

    Gives the pixels, the boxes and the vehicles in it.
    """
    turned = jitter and rng.random() < 0.25
    angle = math.radians(rng.normal(0, 8)) if turned else 0.0
    stretch = math.exp(rng.normal(0, 0.09)) if jitter else 1.0
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    scale_x, scale_y = scale * stretch, scale / stretch
    cosine, sine = math.cos(angle), math.sin(angle)
    linear = np.array([[cosine * scale_x * mirror, -sine * scale_y], [sine * scale_x * mirror, cosine * scale_y]])

    if focus is None:
        focus = np.array([picture.width / 2, picture.height / 2])
        target = np.array([side / 2, side / 2])
    else:
        focus = np.asarray(focus, float)
        target = rng.uniform(0.12, 0.88, 2) * side
        if rng.random() < 0.8:
            # Move it so that as little as possible of the view lies outside the picture.
            inside_x = picture.width - focus[0] if mirror < 0 else focus[0]
            reach = np.array([inside_x * scale_x, focus[1] * scale_y])
            slack = side - np.array([picture.width * scale_x, picture.height * scale_y]) + reach
            target = np.clip(target, np.minimum(slack, reach), np.maximum(slack, reach))
    shift = target - linear @ focus

    level = 0
    while level + 1 < len(picture.levels) and scale * 2**level <= 0.55:
        level += 1
    source = picture.levels[level]
    matrix = np.column_stack([linear * (picture.width / source.shape[1]), shift])
    # Players fill the rest with black mostly; other greys keep the border from becoming a sign of anything.
    fill = int(rng.choice((0, 0, 114, 128, 255))) if rng.random() < 0.7 else int(rng.integers(0, 256))
    smooth = cv2.INTER_LINEAR if scale < 1.3 else cv2.INTER_CUBIC
    pixels = cv2.warpAffine(source, matrix, (side, side), flags=smooth, borderValue=(fill,) * 3)

    boxes = picture.boxes.copy()
    boxes[:, 1:5] = carry(boxes[:, 1:5], linear, shift, turned)
    boxes = clip(boxes, side, side)
    if not picture.plates_known:
        boxes = np.concatenate([boxes, np.array([[PLATE, 0, 0, side, side, 1]], np.float32)])
    vehicles = carry(picture.vehicles, linear, shift, turned)
    shown = np.clip(vehicles, 0, side)
    whole = (shown[:, 2:] - shown[:, :2]).prod(1) > 0.7 * (vehicles[:, 2:] - vehicles[:, :2]).prod(1)
    return pixels, boxes, shown[whole]


def carry(rows, linear, shift, turned):
    """Corners of boxes after the mapping."""
    if not len(rows):
        return rows.reshape(-1, 4)
    corners = np.stack([rows[:, [0, 1]], rows[:, [2, 1]], rows[:, [2, 3]], rows[:, [0, 3]]], 1) @ linear.T + shift
    low, high = corners.min(1), corners.max(1)
    if turned:
        # Objects do not reach into the corners of their boxes, so the hull of a turned box is too large.
        plain = (rows[:, 2:] - rows[:, :2]) * np.hypot(linear[0], linear[1])
        centre, size = (low + high) / 2, (plain + high - low) / 2
        low, high = centre - size / 2, centre + size / 2
    return np.concatenate([low, high], 1).astype(np.float32)


def clip(boxes, width, height):
    """Boxes cut to a window at the origin; those hardly seen or too small become ignore regions or go."""
    if not len(boxes):
        return boxes.reshape(-1, 6)
    area = (boxes[:, 3:5] - boxes[:, 1:3]).prod(1)
    boxes = boxes.copy()
    boxes[:, 1:5] = np.clip(boxes[:, 1:5], 0, (width, height, width, height))
    size = boxes[:, 3:5] - boxes[:, 1:3]
    seen = size.prod(1) / np.maximum(area, 1e-6)
    faces = boxes[:, 0] == FACE
    small = np.where(faces, size.min(1) < SMALLEST_FACE, (size < SMALLEST_PLATE).any(1))
    boxes[(seen < SEEN_ENOUGH) | small, 5] = 1
    # An ignore region counts for whatever part of it is seen.
    return boxes[((seen > SEEN_AT_ALL) | (boxes[:, 5] == 1)) & (size.min(1) > 1)]


class Chooser:
    """Chooses pictures by source weight, and what in them to look at."""

    def __init__(self, pictures, weights, hard, hard_share, rng):
        self.pictures, self.rng = pictures, rng
        self.hard = [(index, [region["box"] for region in regions]) for index, regions in hard.items() if regions]
        self.hard_share = hard_share if self.hard else 0.0
        sources = {}
        for index, picture in enumerate(pictures):
            sources.setdefault(picture.source, []).append(index)
        names = sorted(sources)
        # Without weights every source counts by the root of its size: small ones are seen, large ones lead.
        share = np.array([weights.get(n, 0.0) if weights else math.sqrt(len(sources[n])) for n in names])
        if share.sum() <= 0:
            raise ValueError(f"no source of {names} has a weight")
        self.members = [sources[n] for n in names]
        self.share = share / share.sum()
        self.any_faces = any(len(p.wanted(FACE)[0]) for p in pictures)

    def picture(self):
        members = self.members[self.rng.choice(len(self.members), p=self.share)]
        return self.pictures[members[self.rng.integers(len(members))]]

    def face(self, at_least):
        """A labelled face of at least so many pixels, with its picture; None when the draw finds none."""
        for _ in range(20):
            picture = self.picture()
            rows, _ = picture.wanted(FACE)
            rows = rows[(rows[:, 3:5] - rows[:, 1:3]).min(1) >= at_least] if len(rows) else rows
            if len(rows):
                return picture, rows[self.rng.integers(len(rows))]
        return None

    def view(self, side, sizes, lowest=0.1):
        """A view that shows an object at a size out of `sizes`, a hard place, a vehicle, or just a part."""
        rng = self.rng
        if rng.random() < self.hard_share:
            index, places = self.hard[rng.integers(len(self.hard))]
            picture, place = self.pictures[index], np.array(places[rng.integers(len(places))])
            extent = max(place[2:] - place[:2])
            scale = log_uniform(rng, 0.5, 1.5) * min(1.0, side / max(extent, 1))
            return take(picture, (place[:2] + place[2:]) / 2, min(scale, LARGEST_SCALE), side, rng)
        for _ in range(4):
            picture = self.picture()
            focus, scale = self.focus(picture, side, sizes)
            scale = min(max(scale, lowest), LARGEST_SCALE)
            # A view that is mostly border teaches little.
            if scale * max(picture.width, picture.height) > 0.7 * side:
                break
        if lowest >= 0.1 and rng.random() < 0.85:
            scale = max(scale, min(0.8 * side / max(picture.width, picture.height), 1.2))
        return take(picture, focus, scale, side, rng)

    def focus(self, picture, side, sizes):
        """What to look at in a picture, and at which scale."""
        rng = self.rng
        counted = picture.boxes[picture.boxes[:, 5] == 0]
        if len(counted) and rng.random() < 0.93:
            category, x1, y1, x2, y2, _ = counted[rng.integers(len(counted))]
            if category == FACE:
                scale = log_uniform(rng, *sizes.face) / math.sqrt((x2 - x1) * (y2 - y1))
            else:
                scale = min(log_uniform(rng, *sizes.plate) / (y2 - y1), 0.9 * side / (x2 - x1))
        elif len(picture.vehicles) and rng.random() < 0.7:
            x1, y1, x2, y2 = picture.vehicles[rng.integers(len(picture.vehicles))]
            scale = log_uniform(rng, 30, side) / max(x2 - x1, y2 - y1)
        else:
            place = rng.uniform(0, picture.width), rng.uniform(0, picture.height)
            return place, log_uniform(rng, 0.3, 1.3)
        return ((x1 + x2) / 2, (y1 + y2) / 2), scale
