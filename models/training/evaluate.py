"""Measures detectors on a COCO file: recall, coverage and false regions, per class and height.

    python evaluate.py --data DATA/val.json --model new.onnx --model yunet:FILE --model ultraface:FILE

Two tables per class: at the thresholds given (all pictures), and with equal false regions per picture: there each
detector's threshold is chosen on the first half of every source and the figures are of the second half.
"""

import argparse
import hashlib
import json
import os

import cv2
import numpy as np

import coco
import metrics
from detectors import OnnxDetector

THRESHOLDS = {"boxes": {"face": 0.40, "plate": 0.50}, "yunet": {"face": 0.30}, "ultraface": {"face": 0.50}}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", required=True, help="COCO JSON")
    add("--images", help="folder of the pictures (default: images beside the JSON)")
    add("--model", action="append", required=True, help="FILE or HEAD:FILE; may be given again")
    add("--longest", type=int, default=640, help="longer side of the picture as the detector sees it")
    add("--face", type=float, help="threshold instead of each model's own")
    add("--plate", type=float)
    add("--false-regions", type=float, action="append", help="per picture, for the second table; may be given again")
    add("--shrink", type=int, default=1, help="measure on mosaics of so many pictures a side: far, small objects")
    add("--json", help="write all figures here")
    return parser.parse_args()


def mosaics(pictures, cells, longest):
    """Pictures shrunk side by side: what a camera sees from farther away, with true labels."""
    order = np.random.default_rng(0).permutation(len(pictures))
    step = longest // cells
    result = []
    for start in range(0, len(order) - cells * cells + 1, cells * cells):
        canvas = np.zeros((longest, longest, 3), np.uint8)
        members = [pictures[i] for i in order[start : start + cells * cells]]
        boxes = []
        for number, picture in enumerate(members):
            x, y = number % cells * step, number // cells * step
            scale = step / max(picture.width, picture.height)
            size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
            shown = cv2.resize(picture.pixels(), size, interpolation=cv2.INTER_AREA)
            canvas[y : y + size[1], x : x + size[0]] = shown
            rows = picture.boxes.copy()
            rows[:, 1:5] = rows[:, 1:5] * scale + (x, y, x, y)
            if not picture.plates_known:
                rows = np.concatenate([rows, np.float32([[coco.PLATE, x, y, x + step, y + step, 1]])])
            boxes.append(rows)
        by_hand = [np.concatenate([p.by_hand, np.zeros(len(b) - len(p.by_hand), bool)]) for p, b in zip(members, boxes)]
        result.append(
            coco.Picture(
                name=f"mosaic-{start:06}",
                path="",
                width=longest,
                height=longest,
                source="mosaic",
                boxes=np.concatenate(boxes),
                by_hand=np.concatenate(by_hand),
                vehicles=np.zeros((0, 4), np.float32),
                plates_known=True,
                levels=[canvas],
            )
        )
    return result


def detections(detector, pictures, longest):
    return [detector.detect(picture.pixels(), longest) for picture in pictures]


def table(title, names, summaries):
    """A Markdown table: a row per height, a column per detector, "recall / coverage [interval]"."""
    lines = [f"### {title}", "", "| height at 640 | objects | " + " | ".join(names) + " |"]
    lines.append("|---" * (2 + len(names)) + "|")

    def cell(part):
        if not part["recall"]["of"]:
            return "-"
        low, high = part["coverage"]["interval"]
        return f"{part['recall']['share']:.2f} / {part['coverage']['share']:.2f} [{low:.2f}-{high:.2f}]"

    for name, part in summaries[0]["parts"].items():
        if part["recall"]["of"]:
            cells = [cell(s["parts"][name]) for s in summaries]
            lines.append(f"| {name} | {part['recall']['of']} | " + " | ".join(cells) + " |")
    false = [f"{s['false_per_picture']:.2f} (threshold {s['threshold']:.3f})" for s in summaries]
    lines.append(f"| false regions per picture | {summaries[0]['pictures']} pictures | " + " | ".join(false) + " |")
    return "\n".join(lines) + "\n"


def main():
    args = arguments()
    cv2.setNumThreads(1)
    pictures = coco.read(args.data, args.images)
    first, second = coco.halves(pictures)
    if args.shrink > 1:
        first, second = (mosaics(half, args.shrink, args.longest) for half in (first, second))
    report = {"data": os.path.basename(args.data), "longest": args.longest, "shrink": args.shrink, "models": {}}
    gathered = {}
    for name in args.model:
        detector = OnnxDetector(name)
        short = os.path.splitext(os.path.basename(detector.path))[0]
        parts = [detections(detector, half, args.longest) for half in (first, second)]
        for category in detector.classes:
            halves = [metrics.gather(half, rows, category) for half, rows in zip((first, second), parts)]
            whole = metrics.gather(first + second, parts[0] + parts[1], category)
            gathered.setdefault(category, []).append((short, detector.head, *halves, whole))
        speed = {f"{w}x{h}": detector.speed(w, h) for w, h in ((640, 384), (1280, 736))}
        with open(detector.path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        report["models"][short] = {"speed": speed, "bytes": os.path.getsize(detector.path), "sha256": digest}
        print(f"{short}: " + ", ".join(f"{v['fewest_ms']:.1f} ms at {v['input']}" for v in speed.values()), flush=True)

    report["tables"] = {}
    for category, entries in sorted(gathered.items()):
        class_name = coco.CLASSES[category]
        names = [entry[0] for entry in entries]
        given = getattr(args, class_name)
        own = [given if given is not None else THRESHOLDS[entry[1]][class_name] for entry in entries]
        tables = {"given thresholds": [metrics.summary(e[4], t) for e, t in zip(entries, own)]}
        for wanted in args.false_regions or (0.2, 0.5):
            chosen = [entry[2].threshold(wanted) for entry in entries]
            tables[f"thresholds for {wanted} false regions per picture, second half"] = [
                metrics.summary(e[3], t) for e, t in zip(entries, chosen)
            ]
        for title, summaries in tables.items():
            print(table(f"{class_name}: {title}", names, summaries), flush=True)
        report["tables"][class_name] = {k: dict(zip(names, v)) for k, v in tables.items()}
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
