"""Finds what a detector takes for objects where there are none, so that training shows it more often.

    python mine.py --train DATA/train.json --model new.onnx --out hard.json --sheet hard.jpg

Looks at pictures without any labelled or ignored object of a class. Labels may be incomplete: look at the sheet,
and take real faces and plates out of the list, or they will be unlearned.
"""

import argparse
import json

import cv2
import numpy as np

import coco
from detectors import OnnxDetector

# Regions of one picture, so that a strange one does not take over.
MOST = 10


def read(path, pictures):
    """Picture index to the boxes of a list that this program wrote for the same pictures."""
    with open(path, encoding="utf-8") as file:
        entries = json.load(file)["pictures"]
    hard = {}
    for entry in entries:
        index = entry["index"]
        if index >= len(pictures) or pictures[index].name != entry["file"]:
            raise ValueError(f"{path} was not made from these pictures: {entry['file']} is not number {index}")
        hard[index] = [region["box"] for region in entry["regions"]]
    return hard


def false_regions(picture, rows, thresholds):
    """Detections in a picture that has nothing of their class."""
    regions = []
    for category, x1, y1, x2, y2, score in rows.tolist():
        category = int(category)
        absent = not (picture.boxes[:, 0] == category).any()
        known = category == coco.FACE or picture.plates_known
        if absent and known and score >= thresholds[category]:
            regions.append({"class": coco.CLASSES[category], "score": round(score, 4), "box": [x1, y1, x2, y2]})
    return sorted(regions, key=lambda region: -region["score"])[:MOST]


def sheet(pictures, entries, side=128, columns=10, rows=10):
    """The most confident of the regions, each with its surroundings, as one picture."""
    regions = [(r["score"], e["index"], r["box"]) for e in entries for r in e["regions"]]
    canvas = np.zeros((rows * side, columns * side, 3), np.uint8)
    for number, (_, index, box) in enumerate(sorted(regions, reverse=True)[: rows * columns]):
        pixels = pictures[index].pixels()
        centre, reach = (np.array(box[:2]) + box[2:]) / 2, max(8.0, max(box[2] - box[0], box[3] - box[1]))
        low = np.clip(centre - reach, 0, None).astype(int)
        high = (centre + reach).astype(int)
        part = pixels[low[1] : high[1], low[0] : high[0]]
        y, x = divmod(number, columns)
        canvas[y * side : (y + 1) * side, x * side : (x + 1) * side] = cv2.resize(part, (side, side))
    return canvas


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--train", required=True, help="COCO JSON of the training pictures")
    add("--images", help="folder of the pictures (default: images beside the JSON)")
    add("--model", required=True, help="exported detector")
    add("--longest", type=int, default=640)
    add("--face", type=float, default=0.3, help="score from which a region counts")
    add("--plate", type=float, default=0.3)
    add("--out", required=True)
    add("--sheet", help="write a picture of the worst regions here")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    pictures = coco.read(args.train, args.images)
    detector = OnnxDetector(args.model)
    entries = []
    for index, picture in enumerate(pictures):
        if {coco.FACE, coco.PLATE} <= set(picture.boxes[:, 0].astype(int)):
            continue
        rows = detector.detect(picture.pixels(), args.longest)
        regions = false_regions(picture, rows, (args.face, args.plate))
        if regions:
            entries.append({"index": index, "file": picture.name, "regions": regions})
    with open(args.out, "w", encoding="utf-8") as file:
        json.dump({"pictures": entries}, file, indent=1)
    if args.sheet:
        cv2.imwrite(args.sheet, sheet(pictures, entries))
    print(f"{sum(len(e['regions']) for e in entries)} regions in {len(entries)} of {len(pictures)} pictures")


if __name__ == "__main__":
    main()
