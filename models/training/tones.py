"""Writes pictures with rendered heads, a set per skin tone, to measure whether a detector treats them alike.

    python tones.py --heads HEADS --data DATA/val.json --out FOLDER
    python evaluate.py --data FOLDER/tones.json --model new.onnx

HEADS is what fixtures/render/heads.py wrote, with seeds that no training saw. The backgrounds are pictures of DATA without
any face. Every tone gets the same backgrounds, places and sizes, so that only the heads differ; `source` names the tone.
Tones go from 1, the lightest, to 6.
"""

import argparse
import json
import os
from pathlib import Path

import cv2
import numpy as np

import coco
import paste
from views import log_uniform

WIDTH, HEIGHT = 640, 384
TONES = range(1, 7)
# Heads of one picture, and the heights of their faces in pixels.
HEADS, SMALLEST, LARGEST = 5, 14, 130
# Share of a frontal face's eyes, nose and mouth from which a head counts.
LEAST = 0.1


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--heads", required=True, type=Path)
    add("--data", required=True, help="COCO JSON with pictures for backgrounds")
    add("--images", help="folder of the pictures (default: images beside the JSON)")
    add("--out", required=True, type=Path)
    add("--pictures", type=int, default=40, help="of each tone")
    add("--seed", type=int, default=1)
    return parser.parse_args()


def by_tone(folder):
    """Heads that show a face, by tone: pairs of patch and face box."""
    found = {tone: [] for tone in TONES}
    for notes in sorted(folder.glob("[0-9]*.json")):
        head = json.loads(notes.read_text(encoding="utf-8"))
        if head["box"] and head["features"] >= LEAST:
            patch = cv2.imread(str(notes.with_suffix(".png")), cv2.IMREAD_UNCHANGED)
            found[head["tone"]].append((patch, np.array(head["box"], np.float32)))
    return found


def background(picture, rng):
    """A part of the picture of the wanted size."""
    pixels = picture.pixels()
    scale = max(WIDTH / picture.width, HEIGHT / picture.height)
    size = max(WIDTH, round(picture.width * scale)), max(HEIGHT, round(picture.height * scale))
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    x, y = rng.integers(0, size[0] - WIDTH + 1), rng.integers(0, size[1] - HEIGHT + 1)
    return np.ascontiguousarray(pixels[y : y + HEIGHT, x : x + WIDTH])


def places(rng):
    """Centres and heights of faces that are apart from each other."""
    chosen = []
    for _ in range(200):
        height = log_uniform(rng, SMALLEST, LARGEST)
        room = 1.3 * height
        centre = rng.uniform((room, room), (WIDTH - room, HEIGHT - room))
        if all(np.abs(centre - other).max() > room + 1.3 * size for other, size in chosen):
            chosen.append((centre, height))
        if len(chosen) == HEADS:
            break
    return chosen


def put(pixels, head, centre, height, rng):
    """Puts a head so that its face is `height` pixels high at `centre`; gives the face's box."""
    patch, face = head
    scale = height / (face[3] - face[1])
    middle = (face[:2] + face[2:]) / 2
    low = centre - middle * scale
    high = low + np.array(patch.shape[1::-1]) * scale
    corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])], np.float32)
    if paste.paste(pixels, patch, corners, rng, light=False, cut=True) is None:
        return None
    return face * scale + np.tile(low, 2)


def main():
    args = arguments()
    heads = by_tone(args.heads)
    scarce = [tone for tone in TONES if len(heads[tone]) < HEADS]
    if scarce:
        raise SystemExit(f"tones: too few heads of the tones {scarce} in {args.heads}")
    empty = [p for p in coco.read(args.data, args.images) if not (p.boxes[:, 0] == coco.FACE).any()]
    if not empty:
        raise SystemExit(f"tones: {args.data} has no picture without faces")
    (args.out / "images").mkdir(parents=True, exist_ok=True)
    pictures = []
    for number in range(args.pictures):
        layout = np.random.default_rng([args.seed, number])
        base = background(empty[layout.integers(len(empty))], layout)
        spots = places(layout)
        for tone in TONES:
            rng = np.random.default_rng([args.seed, number, tone])
            pixels, rows = base.copy(), []
            for centre, height in spots:
                box = put(pixels, heads[tone][rng.integers(len(heads[tone]))], centre, height, rng)
                if box is not None:
                    rows.append((coco.FACE, *box, 0))
            name = f"tone{tone}-{number:04d}.png"
            cv2.imwrite(str(args.out / "images" / name), pixels)
            boxes = np.array(rows, np.float32).reshape(-1, 6)
            pictures.append(
                coco.Picture(
                    name=name,
                    path=os.path.join(args.out, "images", name),
                    width=WIDTH,
                    height=HEIGHT,
                    source=f"tone {tone}",
                    boxes=boxes,
                    by_hand=np.ones(len(boxes), bool),
                    vehicles=np.zeros((0, 4), np.float32),
                    plates_known=False,
                )
            )
    coco.write(args.out / "tones.json", pictures)
    print(f"{len(pictures)} pictures, {sum(len(p.boxes) for p in pictures)} faces in {args.out / 'tones.json'}")


if __name__ == "__main__":
    main()
