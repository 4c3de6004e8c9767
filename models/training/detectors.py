"""Running ONNX detectors one picture at a time: our own, and two known face detectors to compare with."""

import time

import cv2
import numpy as np
import onnxruntime

from coco import FACE, PLATE

# Detections below are not looked at; overlaps above are one object.
FLOOR, OVERLAP, MOST = 0.02, 0.45, 3000
HEADS = ("boxes", "yunet", "ultraface")


class OnnxDetector:
    """`name` is FILE or HEAD:FILE, HEAD one of `HEADS` (default boxes: what export.py writes)."""

    def __init__(self, name):
        head, _, path = name.rpartition(":")
        self.head, self.path = head or "boxes", path
        if self.head not in HEADS:
            raise ValueError(f"no head is called {self.head}: one of {', '.join(HEADS)}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # Some files list their weights as inputs too, and a warning for each would bury the figures.
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        shape = self.session.get_inputs()[0].shape
        self.fixed = (shape[3], shape[2]) if all(isinstance(side, int) for side in shape[2:]) else None
        self.classes = (FACE, PLATE) if self.head == "boxes" else (FACE,)

    def run(self, tensor):
        return dict(
            zip(
                [output.name for output in self.session.get_outputs()],
                self.session.run(None, {self.session.get_inputs()[0].name: tensor}),
            )
        )

    def detect(self, picture, longest=640):
        """Rows of class, x1, y1, x2, y2, score in pixels of the picture, which is scaled to `longest` before."""
        height, width = picture.shape[:2]
        if self.fixed:
            scale = min(self.fixed[0] / width, self.fixed[1] / height)
            shape = self.fixed
        else:
            scale = longest / max(width, height)
            shape = tuple(-(-max(1, round(side * scale)) // 32) * 32 for side in (width, height))
        size = min(shape[0], max(1, round(width * scale))), min(shape[1], max(1, round(height * scale)))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        # Top left, the rest black: as floutage feeds its models.
        canvas = np.zeros((shape[1], shape[0], 3), np.uint8)
        canvas[: size[1], : size[0]] = cv2.resize(picture, size, interpolation=way)
        boxes, scores = getattr(self, f"_{self.head}")(canvas)
        boxes = boxes * np.tile((width / size[0], height / size[1]), 2)
        rows = []
        for column, category in enumerate(self.classes):
            rows.append(suppress(category, boxes, scores[:, column]))
        return np.concatenate(rows)

    def _boxes(self, canvas):
        found = self.run(canvas.transpose(2, 0, 1)[None].astype(np.float32))
        return found["boxes"][0], found["scores"][0]

    def _yunet(self, canvas):
        found = self.run(canvas.transpose(2, 0, 1)[None].astype(np.float32))
        boxes, scores = [], []
        for stride in (8, 16, 32):
            high, wide = canvas.shape[0] // stride, canvas.shape[1] // stride
            corner = np.stack(np.meshgrid(np.arange(wide), np.arange(high)), -1).reshape(-1, 2)
            raw = found[f"bbox_{stride}"].reshape(-1, 4)
            centre, size = (corner + raw[:, :2]) * stride, np.exp(raw[:, 2:]) * stride
            boxes.append(np.concatenate([centre - size / 2, centre + size / 2], 1))
            parts = [np.clip(found[f"{kind}_{stride}"].reshape(-1), 0, 1) for kind in ("cls", "obj")]
            scores.append(np.sqrt(parts[0] * parts[1]))
        return np.concatenate(boxes), np.concatenate(scores)[:, None]

    def _ultraface(self, canvas):
        normal = (canvas[:, :, ::-1].astype(np.float32) - 127) / 128
        found = self.run(np.ascontiguousarray(normal.transpose(2, 0, 1)[None]))
        size = np.tile((canvas.shape[1], canvas.shape[0]), 2)
        return found["boxes"][0] * size, found["scores"][0][:, 1:]

    def speed(self, width, height, times=40):
        """Fewest and median milliseconds for one input on one thread."""
        if self.fixed:
            width, height = self.fixed
        tensor = np.random.default_rng(0).uniform(0, 255, (1, 3, height, width)).astype(np.float32)
        taken = []
        for _ in range(times):
            start = time.perf_counter()
            self.run(tensor)
            taken.append((time.perf_counter() - start) * 1000)
        return {"input": [width, height], "fewest_ms": min(taken[3:]), "median_ms": float(np.median(taken[3:]))}


def suppress(category, boxes, scores):
    """Greedy suppression of one class, best first."""
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= FLOOR][:MOST]
    if not len(order):
        return np.zeros((0, 6), np.float32)
    boxes, scores = boxes[order], scores[order]
    sized = np.concatenate([boxes[:, :2], np.maximum(boxes[:, 2:] - boxes[:, :2], 0)], 1)
    kept = np.array(cv2.dnn.NMSBoxes(sized.tolist(), scores.tolist(), FLOOR, OVERLAP)).reshape(-1).astype(int)
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    return np.column_stack([np.full(len(kept), category), boxes[kept], scores[kept]]).astype(np.float32)
