"""Pictures and their boxes from a COCO JSON file.

Beyond COCO's own keys these are read, each of them optional:

  image.has_plates     true: every plate is labelled or lies in an ignore region. Default: true
  image.plate_bg_ok    true: nothing looks like a plate outside the boxes, so plates may be learned as absent
  image.vehicles       [[x1, y1, x2, y2], ...]: where drawn plates may be put
  image.source         a name; the trainer can weight sources, the evaluation reports them apart
  annotation.iscrowd   1: ignore region, neither right nor wrong inside
  annotation.label_source  "gt" for labels made by hand; anything else counts as made by a program

Categories are matched by name: "face" and "plate" (also "license_plate", "licence_plate"); others are left out.
Everything else in these scripts sees boxes as rows of `BOX`: class, x1, y1, x2, y2, ignore.
"""

import dataclasses
import json
import os

import cv2
import numpy as np

FACE, PLATE = 0, 1
CLASSES = ("face", "plate")
NAMES = {"face": FACE, "plate": PLATE, "license_plate": PLATE, "licence_plate": PLATE, "license-plate": PLATE}
BOX = ("class", "x1", "y1", "x2", "y2", "ignore")


@dataclasses.dataclass
class Picture:
    """One picture of a data set; `levels` holds the pixels at 1, 1/2, 1/4 ... once loaded."""

    name: str
    path: str
    width: int
    height: int
    source: str
    boxes: np.ndarray
    by_hand: np.ndarray
    vehicles: np.ndarray
    plates_known: bool
    levels: list = dataclasses.field(default_factory=list)

    def pixels(self):
        """The whole picture, BGR."""
        if self.levels:
            return self.levels[0]
        picture = cv2.imread(self.path, cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError(f"cannot read the picture {self.path}")
        return picture

    def load(self, smallest=40):
        """Keeps the pixels in memory with a pyramid, so that strong shrinking neither aliases nor costs much."""
        self.levels = [self.pixels()]
        while len(self.levels) < 4 and min(self.levels[-1].shape[:2]) >= 2 * smallest:
            self.levels.append(cv2.resize(self.levels[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))

    def wanted(self, category):
        """Boxes of one class that count, and those to ignore."""
        rows = self.boxes[self.boxes[:, 0] == category]
        return rows[rows[:, 5] == 0], rows[rows[:, 5] == 1]


def read(path, images=None):
    """All pictures of the COCO file at `path`; `images` is the folder of the files (default: `images` beside it)."""
    images = images or os.path.join(os.path.dirname(os.path.abspath(path)), "images")
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    classes = {c["id"]: NAMES[c["name"].lower()] for c in data["categories"] if c["name"].lower() in NAMES}
    if not classes:
        raise ValueError(f"{path} has no category called face or plate")
    annotations = {}
    for annotation in data["annotations"]:
        if annotation["category_id"] in classes:
            annotations.setdefault(annotation["image_id"], []).append(annotation)

    pictures = []
    for image in data["images"]:
        rows, by_hand = [], []
        for annotation in annotations.get(image["id"], []):
            x, y, width, height = annotation["bbox"]
            category = classes[annotation["category_id"]]
            rows.append((category, x, y, x + width, y + height, float(annotation.get("iscrowd", 0))))
            by_hand.append(annotation.get("label_source", "gt") == "gt")
        pictures.append(
            Picture(
                name=image["file_name"],
                path=os.path.join(images, image["file_name"]),
                width=image["width"],
                height=image["height"],
                source=image.get("source", "all"),
                boxes=np.array(rows, np.float32).reshape(-1, 6),
                by_hand=np.array(by_hand, bool),
                vehicles=np.array(image.get("vehicles", []), np.float32).reshape(-1, 4),
                plates_known=bool(image.get("has_plates", True) or image.get("plate_bg_ok", False)),
            )
        )
    return pictures


def write(path, pictures):
    """Writes pictures (names, sizes, boxes, flags) as COCO; the files themselves are the caller's."""
    images, annotations = [], []
    for number, picture in enumerate(pictures, 1):
        images.append(
            {
                "id": number,
                "file_name": picture.name,
                "width": picture.width,
                "height": picture.height,
                "source": picture.source,
                "has_plates": picture.plates_known,
                "vehicles": picture.vehicles.tolist(),
            }
        )
        for row, by_hand in zip(picture.boxes.tolist(), picture.by_hand):
            category, x1, y1, x2, y2, ignore = row
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(category) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": int(ignore),
                    "label_source": "gt" if by_hand else "pseudo",
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"images": images, "annotations": annotations, "categories": categories}, file)


def halves(pictures):
    """Two parts of every source, earlier and later by name, so that neighbouring frames stay together mostly.

    Thresholds are chosen on the first and reported on the second.
    """
    sources = {}
    for index, picture in enumerate(pictures):
        sources.setdefault(picture.source, []).append((picture.name, index))
    first, second = [], []
    for members in sources.values():
        ordered = [index for _, index in sorted(members)]
        first += ordered[: len(ordered) // 2]
        second += ordered[len(ordered) // 2 :]
    return [pictures[i] for i in sorted(first)], [pictures[i] for i in sorted(second)]
