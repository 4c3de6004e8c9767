"""Runs every script once on a handful of drawn pictures and checks what comes out; under two minutes on one core.

    python smoke.py [FOLDER]

Says nothing of how good a detector gets: the drawn faces are circles with eyes.
"""

import json
import os
import subprocess
import sys
import tempfile

import cv2
import numpy as np
import torch

import coco
import metrics
import plates
import weights
from assign import Targets
from export import Exported

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, HEIGHT = 240, 180


def face(canvas, x, y, size, rng):
    """A circle with eyes and a mouth; gives its box."""
    skin = tuple(int(v) for v in rng.integers((90, 120, 150), (200, 220, 255)))
    cv2.ellipse(canvas, (x, y), (size * 2 // 5, size // 2), 0, 0, 360, skin, -1)
    for side in (-1, 1):
        cv2.circle(canvas, (x + side * size // 6, y - size // 8), max(1, size // 14), (30, 30, 30), -1)
    cv2.ellipse(canvas, (x, y + size // 5), (size // 6, max(1, size // 16)), 0, 0, 180, (40, 40, 160), -1)
    return coco.FACE, x - size * 2 // 5, y - size // 2, x + size * 2 // 5, y + size // 2, 0


def picture(folder, number, rng):
    """A street of a wall, a box on wheels with a plate, and people who are heads."""
    canvas = np.full((HEIGHT, WIDTH, 3), rng.integers(60, 200, 3), np.uint8)
    cv2.rectangle(canvas, (0, 120), (WIDTH, HEIGHT), tuple(int(v) for v in rng.integers(40, 120, 3)), -1)
    boxes, vehicles = [], []
    if number % 3:
        x = int(rng.integers(10, 90))
        vehicles.append((x, 80, x + 110, 160))
        cv2.rectangle(canvas, (x, 80), (x + 110, 160), tuple(int(v) for v in rng.integers(0, 256, 3)), -1)
        plate = cv2.resize(plates.draw(rng), (44, 14), interpolation=cv2.INTER_AREA)
        canvas[130:144, x + 33 : x + 77] = plate
        boxes.append((coco.PLATE, x + 33, 130, x + 77, 144, 0))
    if number % 4:
        for column in range(int(rng.integers(1, 4))):
            boxes.append(face(canvas, 50 + 65 * column, 45, int(rng.integers(16, 56)), rng))
    name = f"drawn-{number:03}.jpg"
    cv2.imwrite(os.path.join(folder, "images", name), canvas)
    rows = np.array(boxes, np.float32).reshape(-1, 6)
    return coco.Picture(
        name=name,
        path="",
        width=WIDTH,
        height=HEIGHT,
        source=("drawn", "other")[number % 2],
        boxes=rows,
        by_hand=np.ones(len(rows), bool),
        vehicles=np.array(vehicles, np.float32).reshape(-1, 4),
        plates_known=number % 5 != 4,
    )


def heads(folder):
    """One head with a face and one seen from behind."""
    os.makedirs(folder)
    entries = []
    for number, box in enumerate(([8, 0, 56, 60], None)):
        canvas = np.zeros((64, 64, 4), np.uint8)
        cv2.ellipse(canvas, (32, 30), (24, 30), 0, 0, 360, (120, 150, 190, 255) if box else (20, 30, 40, 255), -1)
        cv2.imwrite(os.path.join(folder, f"{number}.png"), canvas)
        entries.append({"file": f"{number}.png", "face": box})
    with open(os.path.join(folder, "heads.json"), "w", encoding="utf-8") as file:
        json.dump({"heads": entries}, file)


def call(script, *options):
    """Runs a script on one core's worth of threads; its output, or its error ends this one."""
    print(f"== {script} {' '.join(options)}", flush=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, os.path.join(HERE, script), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    print(done.stdout, flush=True)
    if done.returncode:
        sys.exit(f"smoke: {script} ended with {done.returncode}")
    return done.stdout


def expect(condition, what):
    if not condition:
        sys.exit(f"smoke: {what}")
    print(f"ok: {what}", flush=True)


def check_parts():
    """Figures that can be worked out by hand."""
    low, high = metrics.wilson(8, 10)
    expect(abs(low - 0.4902) < 1e-3 and abs(high - 0.9433) < 1e-3, "the interval of 8 of 10 is .490 to .943")
    wanted = np.array([[100.0, 100.0, 200.0, 200.0]])
    halves = np.array([[100.0, 100.0, 150.0, 200.0], [150.0, 100.0, 200.0, 200.0]])
    scores = np.array([0.9, 0.6])
    covered = metrics.covered_scores(halves, scores, wanted)
    expect(covered[0] == 0.6, "two halves cover an object from the lower of their confidences")
    expect(metrics.covered_scores(halves[:1], scores, wanted)[0] < 0, "one half does not cover it")
    expect(metrics.found_scores(halves + [0, 0, 1, 0], scores, wanted)[0] == 0.9, "an IoU over a half finds it")

    targets = Targets(64, 2)
    rows = torch.tensor([[0, 10.0, 10.0, 16.0, 16.0, 0], [1, 30.0, 30.0, 60.0, 60.0, 1]])
    owner, counted, ignored = targets(rows)
    strides = targets.strides[owner >= 0]
    expect(len(counted) == 1 and len(strides) > 0 and bool((strides == 4).all()), "a tiny face is learned at stride 4")
    expect(float(ignored[:, 1].min()) == 0 and float(ignored[owner >= 0, 0].min()) == 1, "ignore regions are per class")


def main():
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    check_parts()
    with tempfile.TemporaryDirectory() as scratch:
        folder = sys.argv[1] if len(sys.argv) > 1 else scratch
        os.makedirs(os.path.join(folder, "images"), exist_ok=True)
        rng = np.random.default_rng(0)
        pictures = [picture(folder, number, rng) for number in range(24)]
        data = os.path.join(folder, "drawn.json")
        coco.write(data, pictures)
        heads(os.path.join(folder, "heads"))
        run, onnx = os.path.join(folder, "run"), os.path.join(folder, "drawn.onnx")
        last = os.path.join(run, "last.pt")
        common = ["--train", data, "--out", run, "--side", "160", "--batch", "8", "--log-steps", "10"]
        common += ["--heads", os.path.join(folder, "heads")]

        call("train.py", *common, "--ranks", "1", "--minutes", "0.4", "--save-minutes", "0.1")
        before = weights.load(last)
        # A busy machine may have overrun the first time by a step.
        minutes = before["seconds"] / 60 + 0.3
        call("train.py", *common, "--ranks", "2", "--minutes", f"{minutes:.3f}", "--resume")
        after = weights.load(last)
        expect(after["crops"] > before["crops"] and after["step"] > before["step"], "a resumed run goes on counting")
        expect(after["seconds"] > before["seconds"] + 15, "minutes before a resumption count")
        with open(os.path.join(run, "log.jsonl"), encoding="utf-8") as file:
            log = [json.loads(line) for line in file]
        expect(len(log) > 1, "the log is written")
        expect(log[-1]["class_loss"] < log[0]["class_loss"], "the loss falls")

        call("export.py", last, onnx)
        figures = os.path.join(folder, "figures.json")
        call("evaluate.py", "--data", data, "--model", onnx, "--false-regions", "1", "--json", figures)
        call("evaluate.py", "--data", data, "--model", onnx, "--shrink", "2")
        with open(figures, encoding="utf-8") as file:
            report = json.load(file)
        entry = report["tables"]["face"]["given thresholds"]["drawn"]
        labelled = sum(int((p.boxes[:, 0] == coco.FACE).sum()) for p in pictures)
        expect(entry["parts"]["all"]["recall"]["of"] == labelled, "every labelled face is counted once")
        known = sum(p.plates_known for p in pictures)
        counted = report["tables"]["plate"]["given thresholds"]["drawn"]["pictures"]
        expect(counted == known, "pictures with unknown plates are left out for plates")

        card, kept = os.path.join(folder, "card.md"), os.path.join(folder, "kept.json")
        with open(card, "w", encoding="utf-8") as file:
            file.write("# Card\n\n<!-- figures: drawn -->\nto be replaced\n<!-- end of figures -->\n\nAfter.\n")
        call("card.py", "--model", "drawn", "--val", figures, "--figures", kept, "--card", card)
        with open(card, encoding="utf-8") as file:
            text = file.read()
        expect("to be replaced" not in text and f"| all | {labelled} |" in text and "After." in text, "the card gets the figures")

        hard = os.path.join(folder, "hard.json")
        unsure = os.path.join(folder, "unsure.json")
        call("mine.py", "--train", data, "--model", onnx, "--score", "0.02", "--class", "face", "--out", hard)
        call("mine.py", "--train", data, "--model", onnx, "--score", "0.1", "--class", "plate", "--out", unsure)
        second = os.path.join(folder, "second")
        options = ["--init", onnx, "--width", "1.25", "--hard", hard, "--unsure", unsure]
        options += ["--ranks", "1", "--minutes", "0.1"]
        call("train.py", "--train", data, "--out", second, "--side", "160", "--late-side", "192", *options)
        expect(os.path.exists(os.path.join(second, "last.pt")), "training goes on from an exported graph, wider")

        batch = torch.from_numpy(np.stack([cv2.resize(p.levels[0], (160, 160)) for p in load(data)[:8]]))
        batch = batch.permute(0, 3, 1, 2).float()
        same = Exported(weights.averaged(last)).eval()
        wider = Exported(weights.start(onnx, weights.Config.scaled(1.25), batch)).eval()
        with torch.no_grad():
            difference = float((same(batch)[1] - wider(batch)[1]).abs().max())
        expect(difference < 1e-4, f"a widened network computes the same ({difference:.1e})")
    print("smoke: all of it works")


def load(path):
    pictures = coco.read(path)
    for entry in pictures:
        entry.load()
    return pictures


if __name__ == "__main__":
    main()
