"""Puts the figures of a model into its card, and keeps them beside the model.

    python card.py --model new --val val.json [--far far.json] [--tones tones.json] --figures ../new.json --card ../README.md

VAL, FAR and TONES are what evaluate.py wrote with --json: at its defaults, with --shrink 4, and on the pictures of tones.py. The
card's text between the lines `<!-- figures: NAME -->` and `<!-- end of figures -->` is replaced. floutage's tests compare card,
figures and models.toml.
"""

import argparse
import json
import sys

BEGIN, END = "<!-- figures: {} -->", "<!-- end of figures -->"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--model", required=True, help="name of the model's file without .onnx")
    add("--val", required=True)
    add("--far")
    add("--tones")
    add("--figures", required=True, help="JSON to write")
    add("--card", required=True, help="Markdown to change")
    return parser.parse_args()


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def cell(part):
    """Recall / coverage [95 % interval of the coverage]."""
    if not part["recall"]["of"]:
        return "-"
    low, high = part["coverage"]["interval"]
    return f"{part['recall']['share']:.2f} / {part['coverage']['share']:.2f} [{low:.2f}-{high:.2f}]"


def table(title, by_model, first):
    """Rows are parts, columns models, the card's own first."""
    names = [first] + sorted(name for name in by_model if name != first)
    lines = [f"#### {title}", "", "| part | objects | " + " | ".join(names) + " |", "|---" * (2 + len(names)) + "|"]
    for part, counts in by_model[first]["parts"].items():
        if counts["recall"]["of"]:
            cells = [cell(by_model[name]["parts"][part]) for name in names]
            lines.append(f"| {part} | {counts['recall']['of']} | " + " | ".join(cells) + " |")
    false = [f"{by_model[n]['false_per_picture']:.2f} (threshold {by_model[n]['threshold']:.2f})" for n in names]
    lines.append(f"| false regions per picture | {by_model[first]['pictures']} | " + " | ".join(false) + " |")
    return "\n".join(lines)


def tables(report):
    """(title, figures by model) of a report of evaluate.py, the card's order."""
    for class_name, kinds in sorted(report["tables"].items()):
        for kind, by_model in kinds.items():
            yield f"{class_name}s: {kind}", by_model


def main():
    args = arguments()
    figures = {"model": args.model, "parts": []}
    for kind, path in (("validation pictures", args.val), ("far", args.far), ("rendered heads by skin tone", args.tones)):
        if not path:
            continue
        report = read(path)
        if args.model not in report["models"]:
            sys.exit(f"card: {path} has no figures of {args.model}, only of {', '.join(report['models'])}")
        own = report["models"][args.model]
        if figures.setdefault("sha256", own["sha256"]) != own["sha256"]:
            sys.exit(f"card: {path} is of another file than {args.val}")
        figures.setdefault("models", report["models"])
        for title, by_model in tables(report):
            # Heads on pictures with plates: only the heads are labelled.
            if args.model in by_model and not (kind.startswith("rendered") and "given" not in title):
                figures["parts"].append({"title": f"{kind}, {title}", "figures": by_model})
    with open(args.figures, "w", encoding="utf-8") as file:
        json.dump(figures, file, indent=1)
        file.write("\n")

    with open(args.card, encoding="utf-8") as file:
        card = file.read()
    begin = BEGIN.format(args.model)
    if begin not in card or END not in card:
        sys.exit(f"card: {args.card} has no lines `{begin}` and `{END}`")
    head, rest = card.split(begin, 1)
    _, tail = rest.split(END, 1)
    body = "\n\n".join(table(part["title"], part["figures"], args.model) for part in figures["parts"])
    with open(args.card, "w", encoding="utf-8") as file:
        file.write(f"{head}{begin}\n\n{body}\n\n{END}{tail}")


if __name__ == "__main__":
    main()
