"""Licence plates, drawn.

Plates of several countries in shape and colour, with strings that are random or hold letters which the country
never issues, so that no drawn plate is anybody's. Fonts are those found on the system (DejaVu, Liberation).
"""

import dataclasses
import functools
import glob
import string

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT_GLOBS = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans*Bold.ttf",
    "/usr/share/fonts/truetype/dejavu/DejaVuSansCondensed.ttf",
    "/usr/share/fonts/truetype/liberation*/LiberationSans*Bold.ttf",
)
HEIGHT = 64
WHITE, YELLOW, SILVER = (245, 245, 242), (250, 205, 30), (190, 190, 190)
BLACK, RED, BLUE = (20, 20, 25), (150, 20, 30), (0, 51, 153)
ANY = string.ascii_uppercase


@dataclasses.dataclass(frozen=True)
class Style:
    """`patterns`: A is a letter, 0 a digit, the rest stands for itself. `letters`: what A may be."""

    patterns: tuple
    letters: str = ANY
    grounds: tuple = (WHITE,)
    ink: tuple = BLACK
    country: str = ""
    bands: int = 1
    aspect: tuple = (4.3, 4.8)


# Letters are those the country leaves out, where there are any.
STYLES = (
    Style(("AA-000-AA",), "IOU", country="F", bands=2),
    Style(("A AA 0000", "AA A 000", "AAA AA 00"), country="D"),
    Style(("0000 AAA",), "AEIOUQ", country="E"),
    Style(("AA 000AA",), "IOQU", country="I", bands=2),
    Style(("AA00 AAA",), "IQ", (WHITE, YELLOW), country="GB"),
    Style(("AA-000-A", "00-AA-AA", "A-000-AA"), "AEIOU", (YELLOW,), country="NL"),
    Style(("0-AAA-000",), "IOQW", ink=RED, country="B"),
    Style(("A 00 AAA", "AA 00 AAA"), "IOQ", country="RO"),
    Style(("AA 00000",), "QVX", country="PL"),
    Style(("AAA 0000", "AAA0A00"), grounds=(WHITE, SILVER), bands=0, aspect=(3.0, 3.2)),
    Style(("AA 00 AA 0000", "AAA-00-00"), grounds=(WHITE, YELLOW), bands=0, aspect=(3.6, 4.8)),
)
# North American shape: free colours, small lines above and below.
SQUARE = Style(("AAA 0000", "0AAA000", "AAA-000", "000 AAA", "AA 00000", "AAAAAA"), bands=0, aspect=(1.95, 2.05))
SQUARE_SHARE = 0.22
TWO_LINES_SHARE = 0.12


@functools.cache
def fonts():
    found = sorted(name for pattern in FONT_GLOBS for name in glob.glob(pattern) if "Oblique" not in name)
    if not found:
        raise FileNotFoundError("no DejaVu or Liberation font found: install fonts-dejavu-core")
    return found


@functools.cache
def font(name, size):
    return ImageFont.truetype(name, size)


def spell(pattern, letters, rng):
    kinds = {"A": letters, "0": string.digits}
    return "".join(rng.choice(list(kinds[c])) if c in kinds else c for c in pattern)


def words(rng, low, high):
    return "".join(rng.choice(list(ANY + "   ")) for _ in range(rng.integers(low, high)))


def line(text, width, height, rng):
    """Mask of a line of text that fills width x height."""
    face = font(fonts()[rng.integers(len(fonts()))], max(8, int(height * 1.25)))
    left, top, right, bottom = face.getbbox(text)
    mask = Image.new("L", (max(4, right - left + 4), max(4, bottom - top + 4)), 0)
    ImageDraw.Draw(mask).text((2 - left, 2 - top), text, 255, font=face)
    return mask.resize((max(4, int(width)), max(4, int(height))), Image.Resampling.BILINEAR)


def draw(rng):
    """One plate, BGR, about `HEIGHT` pixels high."""
    square = rng.random() < SQUARE_SHARE
    style = SQUARE if square else STYLES[rng.integers(len(STYLES))]
    two_lines = not square and rng.random() < TWO_LINES_SHARE
    width = int(HEIGHT * (rng.uniform(1.25, 1.5) if two_lines else rng.uniform(*style.aspect)))
    ground = style.grounds[rng.integers(len(style.grounds))]
    ink = style.ink
    if square:
        if rng.random() < 0.5:
            low, high = ((150, 255), (20, 110))[rng.integers(2)]
            ground = tuple(int(v) for v in rng.integers(low, high, 3))
        dark = ((20, 20, 60), RED, (20, 80, 40), BLACK)[rng.integers(4)]
        ink = dark if sum(ground) > 380 else (235, 235, 235)

    plate = Image.new("RGB", (width, HEIGHT), ground)
    if square and rng.random() < 0.6:
        plate = scenery(plate, rng)
    left, right = 4, width - 4
    if style.bands and rng.random() < 0.9:
        left, right = bands(plate, style, two_lines, rng)
    text = spell(style.patterns[rng.integers(len(style.patterns))], style.letters, rng)
    if two_lines:
        cut = next((i for i, c in enumerate(text) if c in " -" and i > 1), len(text) // 2)
        for number, part in enumerate((text[:cut], text[cut:].strip(" -"))):
            mask = line(part, (right - left) * 0.85, HEIGHT * 0.36, rng)
            plate.paste(ink, (left + int((right - left) * 0.07), int(HEIGHT * (0.08 + 0.48 * number))), mask)
    else:
        height = HEIGHT * (rng.uniform(0.42, 0.55) if square else rng.uniform(0.62, 0.78))
        mask = line(text, (right - left) * rng.uniform(0.82, 0.95), height, rng)
        plate.paste(ink, (left + (right - left - mask.width) // 2, (HEIGHT - mask.height) // 2 + 3 * square), mask)
        if square:
            for top, share in ((3, 0.85), (HEIGHT - 11, 0.5)):
                if rng.random() < share:
                    small = line(words(rng, 5, 14).strip() or "X", width * rng.uniform(0.3, 0.6), 8, rng)
                    plate.paste(ink, ((width - small.width) // 2, top), small)
    if rng.random() < 0.7:
        colour = ink if rng.random() < 0.5 else (60, 60, 60)
        ImageDraw.Draw(plate).rectangle((0, 0, width - 1, HEIGHT - 1), outline=colour, width=int(rng.integers(1, 4)))
    result = np.asarray(plate)[:, :, ::-1].copy()
    if rng.random() < 0.5:
        edge = int(rng.integers(3, 8))
        below = edge + int(rng.integers(0, 8))
        colour = (int(rng.integers(5, 60)),) * 3
        result = cv2.copyMakeBorder(result, edge, below, edge, edge, cv2.BORDER_CONSTANT, value=colour)
    return result


def bands(plate, style, two_lines, rng):
    """Coloured ends with the country's letters; gives the space that is left between them."""
    canvas = ImageDraw.Draw(plate)
    width = int(HEIGHT * (0.3 if two_lines else 0.36))
    canvas.rectangle((0, 0, width, HEIGHT), fill=BLUE)
    canvas.ellipse((width * 0.25, 8, width * 0.75, 8 + width * 0.5), outline=(240, 210, 40), width=2)
    letters = line(style.country, width * 0.5, HEIGHT * 0.24, rng)
    plate.paste((240, 240, 240), (int(width * 0.25), int(HEIGHT * 0.65)), letters)
    if style.bands == 2 and not two_lines:
        canvas.rectangle((plate.width - width, 0, plate.width, HEIGHT), fill=BLUE)
        return width + 3, plate.width - width - 3
    return width + 3, plate.width - 4


def scenery(plate, rng):
    """A gradient to another colour, as on plates with a landscape."""
    pixels = np.asarray(plate).astype(float)
    slope = np.linspace(0, 1, plate.height)[:, None, None] * rng.uniform(0, 0.5)
    return Image.fromarray((pixels * (1 - slope) + slope * rng.integers(80, 255, 3)).astype(np.uint8))


def bank(count, rng):
    return [draw(rng) for _ in range(count)]
