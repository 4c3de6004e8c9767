"""What a detector found against what is labelled, once for all thresholds.

For every labelled object: the highest threshold at which it is found (IoU 0.5), and the highest at which nine
tenths of it lie under the union of the enlarged detections. For every false region: its score.
"""

import dataclasses
import math

import numpy as np

# Heights in pixels of the picture scaled to 640 on its longer side.
EDGES = (8, 12, 24, 48, 96)
BUCKETS = ("<8", "8-12", "12-24", "24-48", "48-96", ">96")
FOUND_IOU, FALSE_IOU = 0.5, 0.3
ENLARGED, COVERED = 1.4, 0.9
# The area of a box is measured on a grid of so many points a side.
GRID = 48


@dataclasses.dataclass
class Objects:
    """One class over many pictures; the arrays have an entry per labelled object or per false region."""

    pictures: int
    bucket: np.ndarray
    source: np.ndarray
    by_hand: np.ndarray
    found_at: np.ndarray
    covered_at: np.ndarray
    false_at: np.ndarray
    false_source: np.ndarray

    def threshold(self, false_regions):
        """Lowest threshold with at most so many false regions per picture."""
        allowed = int(false_regions * self.pictures)
        ordered = np.sort(self.false_at)[::-1]
        return float(np.nextafter(np.float32(ordered[allowed]), np.float32(2))) if allowed < len(ordered) else 0.02


def ious(rows, others):
    """IoU of every row of corners with every other."""
    low = np.maximum(rows[:, None, :2], others[None, :, :2])
    high = np.minimum(rows[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    area = (rows[:, 2:] - rows[:, :2]).prod(1)[:, None] + (others[:, 2:] - others[:, :2]).prod(1)[None]
    return shared / np.maximum(area - shared, 1e-9)


def inside(rows, regions):
    """Largest share of each row's box in one of the regions."""
    if not len(rows) or not len(regions):
        return np.zeros(len(rows))
    low = np.maximum(rows[:, None, :2], regions[None, :, :2])
    high = np.minimum(rows[:, None, 2:], regions[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    return (shared / np.maximum((rows[:, 2:] - rows[:, :2]).prod(1), 1e-9)[:, None]).max(1)


def found_scores(boxes, scores, wanted):
    """Each object takes the best detection that fits and that no other has taken; best detections choose first."""
    result = np.full(len(wanted), -1.0)
    if len(boxes) and len(wanted):
        overlap = ious(boxes, wanted)
        for number in range(len(boxes)):
            free = np.where(result < 0, overlap[number], 0)
            best = int(free.argmax())
            if free[best] >= FOUND_IOU:
                result[best] = scores[number]
    return result


def covered_scores(boxes, scores, wanted):
    """Highest threshold at which the union of the enlarged detections covers each object."""
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * ENLARGED
    large = np.concatenate([centre - half, centre + half], 1)
    steps = (np.arange(GRID) + 0.5) / GRID
    result = np.full(len(wanted), -1.0)
    for number, (x1, y1, x2, y2) in enumerate(wanted):
        xs, ys = x1 + steps * (x2 - x1), y1 + steps * (y2 - y1)
        under = np.zeros((GRID, GRID), bool)
        near = (large[:, 0] < x2) & (large[:, 2] > x1) & (large[:, 1] < y2) & (large[:, 3] > y1)
        for index in np.flatnonzero(near):
            a, b, c, d = large[index]
            under |= ((ys >= b) & (ys <= d))[:, None] & ((xs >= a) & (xs <= c))[None]
            if under.mean() >= COVERED:
                result[number] = scores[index]
                break
    return result


def gather(pictures, detections, category):
    """Objects of one class from all pictures; those where its objects are unknown are left out."""
    columns = {name: [] for name in ("bucket", "source", "by_hand", "found", "covered", "false", "false_source")}
    count = 0
    for picture, rows in zip(pictures, detections):
        if category == 1 and not picture.plates_known:
            continue
        count += 1
        rows = rows[rows[:, 0] == category]
        boxes, scores = rows[:, 1:5], rows[:, 5]
        of_class = picture.boxes[:, 0] == category
        counts = of_class & (picture.boxes[:, 5] == 0)
        wanted, ignored = picture.boxes[counts, 1:5], picture.boxes[of_class & ~counts, 1:5]
        heights = (wanted[:, 3] - wanted[:, 1]) * 640 / max(picture.width, picture.height)
        columns["bucket"].append(np.searchsorted(EDGES, heights, side="right"))
        columns["source"] += [picture.source] * len(wanted)
        columns["by_hand"].append(picture.by_hand[counts])
        columns["found"].append(found_scores(boxes, scores, wanted))
        columns["covered"].append(covered_scores(boxes, scores, wanted))
        best = ious(boxes, wanted).max(1) if len(wanted) and len(boxes) else np.zeros(len(boxes))
        false = (best < FALSE_IOU) & (inside(boxes, ignored) < 0.5)
        columns["false"].append(scores[false])
        columns["false_source"] += [picture.source] * int(false.sum())

    def joined(name):
        return np.concatenate(columns[name]) if columns[name] else np.zeros(0)

    return Objects(
        pictures=count,
        bucket=joined("bucket").astype(int),
        source=np.array(columns["source"], dtype=object),
        by_hand=joined("by_hand").astype(bool),
        found_at=joined("found"),
        covered_at=joined("covered"),
        false_at=joined("false"),
        false_source=np.array(columns["false_source"], dtype=object),
    )


def wilson(hits, total):
    """95 % interval of a share."""
    if not total:
        return [0.0, 1.0]
    z = 1.959964
    share = hits / total
    middle = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return [max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)]


def share(at, threshold, chosen):
    hits, total = int((at[chosen] >= threshold).sum()), int(chosen.sum())
    return {"hits": hits, "of": total, "share": hits / total if total else None, "interval": wilson(hits, total)}


def summary(objects, threshold):
    """Recall and coverage at one threshold: per height, per source, by label, in all."""
    parts = {name: objects.bucket == number for number, name in enumerate(BUCKETS)}
    parts["all"] = np.ones(len(objects.bucket), bool)
    parts["labelled by hand"] = objects.by_hand
    for source in sorted(set(objects.source)):
        parts[f"source {source}"] = objects.source == source
    false = int((objects.false_at >= threshold).sum())
    return {
        "threshold": threshold,
        "pictures": objects.pictures,
        "false_regions": false,
        "false_per_picture": false / max(objects.pictures, 1),
        "parts": {
            name: {
                "recall": share(objects.found_at, threshold, chosen),
                "coverage": share(objects.covered_at, threshold, chosen),
            }
            for name, chosen in parts.items()
        },
    }
