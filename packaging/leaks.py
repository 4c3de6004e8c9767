#!/usr/bin/env python3
"""Prints the README's table of what leaks on the rendered clips: `make leaks`.

  packaging/leaks.py PROGRAM
"""
import json
import subprocess
import sys

CLIPS = ["street-day", "street-night", "entrance", "parking"]
ALONE = ["--look-ahead", "0", "--hold", "0"]


def evaluate(program, clip, *arguments):
    command = [program, "evaluate", f"fixtures/{clip}.mp4", "--truth", f"fixtures/{clip}.csv", "--json", *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def share(value):
    return "0" if value == 0 else f"{value:.3f}".lstrip("0").rstrip("0") if value < 1 else "1"


def main():
    program = sys.argv[1]
    print("| clip, boxes by height in pixels | boxes | leak rate, frame by frame | with tracks (95 %) | tracks that leak | longest run |")
    print("|---|---|---|---|---|---|")
    altered = []
    for clip in CLIPS:
        alone, tracked = evaluate(program, clip, *ALONE), evaluate(program, clip)
        name = f"`{clip}`"
        for kind in ("face", "plate"):
            before = {row["height"]: row for row in alone["classes"][kind]}
            for row in tracked["classes"][kind]:
                if not row["boxes"] or row["height"] == "all":
                    continue
                low, high = row["leak_rate_95"]
                print(f"| {name}, {kind}s {row['height']} | {row['boxes']} | {share(before[row['height']]['leak_rate'])} "
                      f"| {share(row['leak_rate'])} ({share(low)} to {share(high)}) "
                      f"| {row['leaking_tracks']} of {row['tracks']} | {row['longest_run']} |")
                name = "…"
        altered.append(f"`{clip}` {100 * tracked['over_redaction']:.1f} % instead of {100 * alone['over_redaction']:.1f} %")
    print()
    print("Of what is neither face nor plate, tracks alter more: " + ", ".join(altered) + ".")


main()
