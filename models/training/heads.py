"""Rendered heads with transparent surroundings, to be put into pictures.

A folder with `heads.json` and the PNG files (RGBA, colour not multiplied by alpha) that it names:

    {"heads": [{"file": "0001.png", "face": [x1, y1, x2, y2]}, {"file": "0002.png", "face": null}]}

`face`: hairline to chin and the visible width, in pixels of that PNG; null: no face is to be seen (the back of a
head), which is learned as not a face. Whoever makes the folder states the provenance of the renderings.
"""

import json
import os

import cv2
import numpy as np


def read(folder):
    """Pairs of BGRA patch and face box or None."""
    with open(os.path.join(folder, "heads.json"), encoding="utf-8") as file:
        entries = json.load(file)["heads"]
    heads = []
    for entry in entries:
        path = os.path.join(folder, entry["file"])
        patch = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        if patch is None or patch.ndim != 3 or patch.shape[2] != 4:
            raise ValueError(f"{path} is not an RGBA picture")
        face = entry.get("face")
        heads.append((patch, None if face is None else np.array(face, np.float32)))
    return heads
