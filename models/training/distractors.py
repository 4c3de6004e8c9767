"""Things that look like plates and are none, drawn: signs, shop fronts, facades, crossings, grilles.

They teach the detector that letters, stripes and rows of rectangles alone do not make a plate.
None of them is a short string on a light bar, or plates themselves would be unlearned.
"""

import cv2
import numpy as np
from PIL import Image, ImageDraw

import plates

HEIGHT = 128


def colour(rng, low=0, high=256):
    return tuple(int(v) for v in rng.integers(low, high, 3))


def contrast(ground, rng):
    return colour(rng, 0, 70) if sum(ground) > 380 else colour(rng, 185, 256)


def sign(rng):
    """A board with several lines of text: direction signs, posters, notices."""
    width = int(HEIGHT * rng.uniform(0.7, 3.0))
    vivid = ((0, 60, 140), (0, 110, 60), (160, 30, 30), (240, 200, 40), (245, 245, 245), colour(rng))
    ground = vivid[rng.integers(len(vivid))]
    board = Image.new("RGB", (width, HEIGHT), ground)
    ink = contrast(ground, rng)
    lines = int(rng.integers(3, 7))
    step = HEIGHT / lines
    for number in range(lines):
        text = plates.words(rng, 4, 16).strip() or "A"
        length = width * rng.uniform(0.3, 0.95)
        mask = plates.line(text, length, step * rng.uniform(0.4, 0.75), rng)
        board.paste(ink, (int((width - mask.width) * rng.random()), int(step * (number + 0.15))), mask)
    if rng.random() < 0.5:
        ImageDraw.Draw(board).rectangle((2, 2, width - 3, HEIGHT - 3), outline=ink, width=2)
    return np.asarray(board)[:, :, ::-1].copy()


def shop(rng):
    """A long name board over window panes."""
    width = int(HEIGHT * rng.uniform(1.5, 3.5))
    wall, board, pane = colour(rng, 60, 230), colour(rng), colour(rng, 10, 120)
    front = Image.new("RGB", (width, HEIGHT), wall)
    canvas = ImageDraw.Draw(front)
    top = int(HEIGHT * rng.uniform(0.22, 0.4))
    canvas.rectangle((0, 4, width, top), fill=board)
    text = plates.words(rng, 9, 22).strip() or "SHOP"
    mask = plates.line(text, width * rng.uniform(0.5, 0.9), (top - 4) * rng.uniform(0.4, 0.8), rng)
    front.paste(contrast(board, rng), ((width - mask.width) // 2, 4 + (top - 4 - mask.height) // 2), mask)
    panes = int(rng.integers(1, 6))
    for number in range(panes):
        left = width * number / panes
        canvas.rectangle((left + 4, top + 6, left + width / panes - 4, HEIGHT - 8), fill=pane)
        if rng.random() < 0.4:
            small = plates.line(plates.words(rng, 3, 9).strip() or "OPEN", width / panes * 0.6, HEIGHT * 0.08, rng)
            front.paste(contrast(pane, rng), (int(left + width / panes * 0.2), int(HEIGHT * 0.6)), small)
    return np.asarray(front)[:, :, ::-1].copy()


def facade(rng):
    """Rows of windows, dark on light or lit on dark."""
    rows, columns = int(rng.integers(1, 5)), int(rng.integers(4, 14))
    cell = HEIGHT // rows
    width = max(24, int(columns * cell * rng.uniform(0.5, 1.0)))
    wall = colour(rng, 90, 240)
    glass = colour(rng, 10, 90)
    if rng.random() < 0.2:
        wall, glass = glass, wall
    picture = np.full((HEIGHT, width, 3), wall, np.uint8)
    wide, high = rng.uniform(0.35, 0.75), rng.uniform(0.4, 0.85)
    step = width / columns
    frame = colour(rng, 150, 256)
    for row in range(rows):
        for column in range(columns):
            x, y = int((column + (1 - wide) / 2) * step), int((row + (1 - high) / 2) * cell)
            corner = int(x + wide * step), int(y + high * cell)
            shade = tuple(int(v) for v in np.clip(np.array(glass) * rng.uniform(0.6, 1.4), 0, 255))
            cv2.rectangle(picture, (x, y), corner, shade, -1)
            if frame[0] > 200:
                cv2.rectangle(picture, (x, y), corner, frame, 1)
    return picture


def crossing(rng):
    """The bars of a pedestrian crossing, as BGRA: the road shows between them."""
    bars = int(rng.integers(4, 11))
    width = int(HEIGHT * rng.uniform(1.5, 3.5))
    picture = np.zeros((HEIGHT, width, 4), np.uint8)
    picture[..., :3] = int(rng.integers(40, 110))
    if rng.random() < 0.5:
        picture[..., 3] = 255
    paint = tuple(int(v) for v in np.clip(rng.integers(185, 245) + rng.normal(0, 8, 3), 0, 255))
    step = width / bars
    share = rng.uniform(0.4, 0.6)
    for number in range(bars):
        left = int(number * step)
        picture[:, left : int(left + share * step)] = (*paint, 255)
    return picture


def grille(rng):
    """Slats and lamps: the parts of vehicles that are no plate."""
    width = int(HEIGHT * rng.uniform(1.8, 4.5))
    picture = np.full((HEIGHT, width, 3), colour(rng, 5, 70), np.uint8)
    metal = colour(rng, 90, 220)
    step = int(rng.integers(8, 28))
    upright = rng.random() < 0.4
    for offset in range(0, width if upright else HEIGHT, step):
        end = (offset, HEIGHT) if upright else (width, offset)
        cv2.line(picture, (offset, 0) if upright else (0, offset), end, metal, int(rng.integers(2, max(3, step // 2))))
    if rng.random() < 0.5:
        centre = int(width * rng.uniform(0.3, 0.7)), HEIGHT // 2
        cv2.circle(picture, centre, int(HEIGHT * rng.uniform(0.12, 0.3)), colour(rng, 80, 256), -1)
    return picture


KINDS = (sign, shop, facade, crossing, grille)


def bank(count, rng):
    """Pairs of patch and whether it lies on the ground."""
    drawn = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        drawn.append((kind(rng), kind is crossing))
    return drawn
