"""What cameras, light and codecs do to a picture: blur, exposure, colour, noise, JPEG."""

import cv2
import numpy as np


def distort(picture, rng):
    """A picture as another camera would have given it; boxes stay where they are."""
    picture = soften(picture, rng)
    dark = rng.random() < 0.15
    picture = cv2.LUT(picture, curve(rng, dark)[None])
    if rng.random() < 0.35:
        grey = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        amount = rng.uniform(0, 1.6) if rng.random() < 0.6 else 0.0
        picture = cv2.addWeighted(picture, amount, grey, 1 - amount, 0)
    if rng.random() < (0.7 if dark else 0.18):
        channels = 3 if rng.random() < 0.5 else 1
        noise = rng.standard_normal((*picture.shape[:2], channels), dtype=np.float32) * rng.uniform(2, 18)
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.35:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(22, 85))]
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR)
    return picture


def soften(picture, rng):
    """Low resolution, defocus or motion, each now and then."""
    height, width = picture.shape[:2]
    if rng.random() < 0.12:
        factor = rng.uniform(0.35, 0.8)
        smaller = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        way = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)[rng.integers(3)]
        picture = cv2.resize(smaller, (width, height), interpolation=way)
    draw = rng.random()
    if draw < 0.2:
        return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.6))
    if draw < 0.28:
        length = int(rng.integers(3, 9))
        kernel = np.zeros((length, length), np.float32)
        angle, middle = rng.uniform(0, np.pi), (length - 1) / 2
        reach = middle * np.array([np.cos(angle), np.sin(angle)])
        start, end = np.round(middle - reach).astype(int), np.round(middle + reach).astype(int)
        cv2.line(kernel, tuple(int(v) for v in start), tuple(int(v) for v in end), 1, 1)
        return cv2.filter2D(picture, -1, kernel / kernel.sum())
    return picture


def curve(rng, dark):
    """Per channel, what each of 256 levels becomes."""
    gamma, contrast, offset = rng.uniform(0.65, 1.5), rng.uniform(0.6, 1.35), rng.uniform(-0.15, 0.15)
    if dark:
        gamma, contrast, offset = rng.uniform(1.4, 2.8), rng.uniform(0.4, 0.9), rng.uniform(-0.1, 0.02)
    levels = np.clip(((np.arange(256) / 255) ** gamma - 0.4) * contrast + 0.4 + offset, 0, 1)
    draw = rng.random()
    if draw < 0.5:
        gains = rng.uniform(0.8, 1.2, 3)
    elif draw < 0.56:
        # Sodium lamps.
        gains = np.array([rng.uniform(0.6, 1.1), rng.uniform(0.4, 0.8), rng.uniform(1.0, 1.4)])[[1, 0, 2]]
    else:
        gains = np.ones(3)
    return (np.clip(levels[:, None] * gains, 0, 1) * 255).astype(np.uint8)
