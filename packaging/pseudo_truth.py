#!/usr/bin/env python3
"""Faces of a clip by another detector, as truth for `floutage evaluate` where nobody drew boxes.

  packaging/pseudo_truth.py CLIP YUNET.onnx > TRUTH.csv

YuNet looks at every frame in four sizes. What is sure begins a track, which what is doubtful continues, forwards and backwards in
time; gaps of up to half a second are filled along straight lines. Tracks of fewer than five detections are marked to be ignored.
Needs opencv-python-headless and numpy.
"""
import csv
import sys

import cv2
import numpy as np

SCALES = [0.5, 1.0, 1.5, 2.0]
SURE, DOUBTFUL = 0.7, 0.3
LONGEST_GAP, FEWEST = 12, 5


def overlap(a, b):
    """Intersection over union of boxes x, y, width, height."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    return both / (a[2] * a[3] + b[2] * b[3] - both)


def detections(path, model):
    """Per frame, boxes with scores, best first, of which no two are the same face."""
    video = cv2.VideoCapture(path)
    detector = cv2.FaceDetectorYN.create(model, "", (320, 320), DOUBTFUL, 0.3, 5000)
    frames = []
    while True:
        more, picture = video.read()
        if not more:
            return frames
        found = []
        for scale in SCALES:
            sized = cv2.resize(picture, None, fx=scale, fy=scale)
            detector.setInputSize((sized.shape[1], sized.shape[0]))
            _, faces = detector.detect(sized)
            found += [(np.array(face[:4]) / scale, face[14]) for face in (faces if faces is not None else [])]
        found.sort(key=lambda it: -it[1])
        best = []
        for box, score in found:
            if all(overlap(box, other) < 0.4 for other, _ in best):
                best.append((box, score))
        frames.append(best)


def tracks(frames):
    """Frame to box, for each track; gaps are open yet."""
    free = {(frame, index) for frame, found in enumerate(frames) for index in range(len(found))}
    sure = sorted(free, key=lambda it: -frames[it[0]][it[1]][1])
    result = []
    for start in sure:
        if start not in free or frames[start[0]][start[1]][1] < SURE:
            continue
        free.discard(start)
        track = {start[0]: frames[start[0]][start[1]][0]}
        for direction in (1, -1):
            last, frame = start[0], start[0] + direction
            while 0 <= frame < len(frames) and abs(frame - last) <= LONGEST_GAP:
                near = [(overlap(track[last], frames[frame][index][0]), (frame, index))
                        for index in range(len(frames[frame])) if (frame, index) in free]
                best = max(near, default=(0, None), key=lambda it: it[0])
                if best[0] > 0.3:
                    free.discard(best[1])
                    track[frame], last = frames[frame][best[1][1]][0], frame
                frame += direction
        result.append(track)
    return result


def main():
    path, model = sys.argv[1:]
    rows = []
    for number, track in enumerate(tracks(detections(path, model)), 1):
        known = sorted(track)
        for frame in range(known[0], known[-1] + 1):
            box = [np.interp(frame, known, [track[at][part] for at in known]) for part in range(4)]
            rows.append([frame + 1, number, *(f"{value:.1f}" for value in box), int(len(known) >= FEWEST), "face", 1])
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow("frame,id,left,top,width,height,conf,class,visibility".split(","))
    writer.writerows(sorted(rows))


main()
