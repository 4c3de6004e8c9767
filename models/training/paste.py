"""Putting drawn or rendered patches into a picture: perspective, light, blur, and what they hide."""

import cv2
import numpy as np


def quad(centre, width, height, rng, turn=0.5, roll=5.0):
    """Corners (clockwise from the top left) of an upright rectangle seen from aside.

    `turn`: most that it is turned away, in radians before foreshortening; `roll`: spread of its tilt in degrees.
    """
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float) * (width / 2, height / 2)
    angle = rng.uniform(-turn, turn)
    corners[:, 1] *= 1 + 0.35 * angle * np.sign(corners[:, 0])
    corners[:, 0] *= max(0.3, np.cos(1.9 * angle))
    corners[:, 1] += rng.normal(0, 0.05) * corners[:, 0]
    tilt = np.deg2rad(rng.normal(0, roll))
    turned = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    return (corners @ turned.T + centre).astype(np.float32)


def ground(centre, width, height, rng):
    """Corners of a rectangle that lies on the ground: far edge shorter than the near one."""
    far = width * rng.uniform(0.3, 0.9)
    shift = rng.normal(0, 0.2) * width
    x, y = centre
    corners = [[x - far / 2 + shift, y - height / 2], [x + far / 2 + shift, y - height / 2]]
    corners += [[x + width / 2, y + height / 2], [x - width / 2, y + height / 2]]
    return np.array(corners, np.float32)


def harmonise(patch, surroundings, rng):
    """Brings the patch near the light and the tint of what surrounds it."""
    colour = surroundings.reshape(-1, 3).mean(0)
    level = colour.mean()
    gain = np.clip((level + 25) / 120 * rng.uniform(0.8, 1.7), 0.18, 1.25)
    tint = (colour + 30) / (level + 30)
    return patch * (gain * tint ** rng.uniform(0.2, 1))


def wear(patch, rng):
    """Shadow, dirt and glare, each now and then."""
    height, width = patch.shape[:2]
    if rng.random() < 0.35:
        patch = patch * np.linspace(rng.uniform(0.5, 1.2), rng.uniform(0.5, 1.2), width)[None, :, None]
    if rng.random() < 0.15:
        spots = cv2.resize(rng.random((4, 10)).astype(np.float32), (width, height))[..., None]
        patch = patch * (1 - 0.7 * spots) + 0.7 * spots * np.float32([60, 75, 95])
    if rng.random() < 0.12:
        patch = patch * rng.uniform(1.2, 2.2) + rng.uniform(0, 60)
    return patch


def paste(picture, patch, corners, rng, light=True, cut=False):
    """Warps `patch` (BGR or BGRA) onto the quadrilateral, in place.

    Gives the box that it covers, or None when it would leave the picture (unless it may be `cut`).
    """
    height, width = picture.shape[:2]
    low = np.floor(corners.min(0)).astype(int) - 2
    high = np.ceil(corners.max(0)).astype(int) + 3
    if not cut and (low.min() < 0 or high[0] > width or high[1] > height):
        return None
    low = np.clip(low, 0, (width, height))
    high = np.clip(high, 0, (width, height))
    if (high - low).min() < 4:
        return None

    # Shrinking first, by area, keeps letters from turning into noise.
    shown = max(np.linalg.norm(corners[3] - corners[0]), np.linalg.norm(corners[2] - corners[1]))
    factor = min(1.0, max(0.04, 1.1 * shown / patch.shape[0]))
    size = max(4, round(patch.shape[1] * factor)), max(3, round(patch.shape[0] * factor))
    patch = cv2.resize(patch, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    colour = patch[..., :3]
    alpha = patch[..., 3] / 255 if patch.shape[2] == 4 else np.ones(patch.shape[:2], np.float32)

    target = picture[low[1] : high[1], low[0] : high[0]]
    if light:
        colour = harmonise(wear(colour, rng), target, rng)
    colour = np.clip(colour, 0, 255).astype(np.float32)
    edges = np.float32([[0, 0], [size[0], 0], [size[0], size[1]], [0, size[1]]]) - 0.5
    matrix = cv2.getPerspectiveTransform(edges, corners - low.astype(np.float32) - 0.5)
    shape = target.shape[1], target.shape[0]
    colour = cv2.warpPerspective(colour, matrix, shape, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpPerspective(alpha, matrix, shape, flags=cv2.INTER_LINEAR)
    blur = rng.uniform(0.2, 1.0) if shown < 20 else rng.uniform(0.3, 1.8)
    colour = cv2.GaussianBlur(colour, (0, 0), blur)
    alpha = cv2.GaussianBlur(alpha, (0, 0), min(blur, 0.8))[..., None]
    target[:] = np.clip(target * (1 - alpha) + colour * alpha, 0, 255).astype(np.uint8)
    box = np.concatenate([corners.min(0), corners.max(0)])
    return np.clip(box, 0, (width, height, width, height)).astype(np.float32)


def covered(boxes, box):
    """Share of each row's box that lies under `box`."""
    if not len(boxes):
        return np.zeros(0, np.float32)
    shared = np.minimum(boxes[:, 3:5], box[2:]) - np.maximum(boxes[:, 1:3], box[:2])
    area = np.maximum((boxes[:, 3:5] - boxes[:, 1:3]).prod(1), 1e-6)
    return np.clip(shared, 0, None).prod(1) / area


def hide(boxes, box):
    """Boxes after something opaque was put on `box`: mostly hidden ones go, half hidden ones are ignored."""
    hidden = covered(boxes, box)
    boxes = boxes.copy()
    boxes[(hidden > 0.35), 5] = 1
    # An ignore region stays, whatever lies on it: what is left of it is still uncertain.
    return boxes[(hidden < 0.85) | ((boxes[:, 5] == 1) & (hidden < 0.35))]


def touches(boxes, box):
    """Whether any counted box overlaps `box` at all."""
    return bool((covered(boxes[boxes[:, 5] == 0], box) > 0).any())
