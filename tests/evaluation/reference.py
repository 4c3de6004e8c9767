"""Counts by pycocotools what `floutage evaluate --results` counts.

  reference.py TRUTH.csv RESULTS.csv

Prints, for each class, the boxes that count, those found at IoU 0.5, and the detections that are wrong, as JSON.
"""
import contextlib
import csv
import json
import sys

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def rows(path):
    with open(path) as file:
        return [[float(field) for field in row] for row in csv.reader(file)]


def main():
    truth, results = rows(sys.argv[1]), rows(sys.argv[2])
    frames = sorted({row[0] for row in truth + results})
    annotations = [
        {"id": number, "image_id": row[0], "category_id": int(row[7]), "bbox": row[2:6], "area": row[4] * row[5],
         "iscrowd": int(row[6] == 0)}
        for number, row in enumerate(truth, 1)
    ]
    found = [
        {"image_id": row[0], "category_id": int(row[7]), "bbox": row[2:6], "score": row[6]} for row in results
    ]
    with contextlib.redirect_stdout(sys.stderr):
        coco = COCO()
        coco.dataset = {"images": [{"id": frame} for frame in frames], "annotations": annotations,
                        "categories": [{"id": 1, "name": "face"}, {"id": 2, "name": "plate"}]}
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(found), "bbox")
        run.params.iouThrs = [0.5]
        run.params.maxDets = [100000]
        run.params.areaRng, run.params.areaRngLbl = [[0, 1e10]], ["all"]
        run.evaluate()
    counts = {name: {"boxes": 0, "found": 0, "wrong": 0} for name in ("face", "plate")}
    for one in filter(None, run.evalImgs):
        count = counts[("face", "plate")[one["category_id"] - 1]]
        count["boxes"] += int((one["gtIgnore"] == 0).sum())
        real = ~one["dtIgnore"][0].astype(bool)
        matched = one["dtMatches"][0] > 0
        count["found"] += int((matched & real).sum())
        count["wrong"] += int((~matched & real).sum())
    json.dump(counts, sys.stdout)


main()
