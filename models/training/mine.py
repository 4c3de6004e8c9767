"""Finds what a detector takes for objects where there are none, so that training shows it more often.

    python mine.py --train DATA/train.json --model new.onnx --class face --out hard.json --sheet hard.png

Looks at pictures without any labelled or ignored object of a class. Labels may be incomplete: look at the sheet. Where
it shows wheels and lamps, the list is for `train.py --hard`, which shows them more often. Where it shows
real faces or plates that nobody labelled, it is for `train.py --unsure`, which learns nothing there.
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
    """Picture index to the regions of a list that this program wrote for the same pictures."""
    with open(path, encoding="utf-8") as file:
        entries = json.load(file)["pictures"]
    hard = {}
    for entry in entries:
        index = entry["index"]
        if index >= len(pictures) or pictures[index].name != entry["file"]:
            raise ValueError(f"{path} was not made from these pictures: {entry['file']} is not number {index}")
        hard[index] = entry["regions"]
    return hard


def ignore(path, pictures):
    """Turns the regions of a list into ignore regions of their pictures; gives their number."""
    count = 0
    for index, regions in read(path, pictures).items():
        rows = [(coco.CLASSES.index(region["class"]), *region["box"], 1) for region in regions]
        picture = pictures[index]
        picture.boxes = np.concatenate([picture.boxes, np.array(rows, np.float32)])
        picture.by_hand = np.concatenate([picture.by_hand, np.zeros(len(rows), bool)])
        count += len(rows)
    return count


def false_regions(picture, rows, thresholds):
    """Detections in a picture that has nothing of their class; classes without a threshold are left out."""
    regions = []
    for category, x1, y1, x2, y2, score in rows.tolist():
        category = int(category)
        absent = not (picture.boxes[:, 0] == category).any()
        known = category == coco.FACE or picture.plates_known
        if absent and known and score >= thresholds.get(category, 2.0):
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
    add("--class", dest="classes", choices=coco.CLASSES, action="append", help="only this one")
    add("--score", type=float, default=0.3, help="from which a region counts")
    add("--out", required=True)
    add("--sheet", help="write a picture of the worst regions here")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    pictures = coco.read(args.train, args.images)
    detector = OnnxDetector(args.model)
    thresholds = {coco.CLASSES.index(name): args.score for name in args.classes or coco.CLASSES}
    entries = []
    for index, picture in enumerate(pictures):
        if set(thresholds) <= set(picture.boxes[:, 0].astype(int)):
            continue
        rows = detector.detect(picture.pixels(), args.longest)
        regions = false_regions(picture, rows, thresholds)
        if regions:
            entries.append({"index": index, "file": picture.name, "regions": regions})
    with open(args.out, "w", encoding="utf-8") as file:
        json.dump({"pictures": entries}, file, indent=1)
    if args.sheet:
        cv2.imwrite(args.sheet, sheet(pictures, entries))
    print(f"{sum(len(e['regions']) for e in entries)} regions in {len(entries)} of {len(pictures)} pictures")


if __name__ == "__main__":
    main()
