"""Trains the detector on the cores of one machine for a given time.

    python train.py --train DATA/train.json --out RUN --minutes 120

The learning rate falls along a cosine over the time that has passed, not over steps: on a machine that others use
too, a run ends about on time and annealed. Of a step that was held up (the machine slept, or did something else) only
a part counts. RUN/last.pt is rewritten every few minutes; --resume goes on from there, and counts the minutes already
spent.
"""

import os

# Before torch is imported: waiting threads would otherwise spin and slow the other rank down.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import collections
import json
import math
import socket
import statistics
import sys
import time

import cv2
import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

import coco
import heads
import mine
import weights
from assign import Targets, losses
from net import Config, Detector
from sampler import Sampler

BOX_WEIGHT = 2.0
# Of a step that took longer than so many usual ones, the rest was not training.
LONGEST_STEP = 3.0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--train", required=True, help="COCO JSON of the training pictures")
    add("--images", help="folder of the pictures (default: images beside the JSON)")
    add("--out", required=True, help="folder for checkpoints and the log")
    add("--minutes", type=float, default=60, help="time to train, those before --resume counted")
    add("--resume", action="store_true", help="go on from OUT/last.pt")
    add("--init", help="start from this .onnx file or checkpoint")
    add("--width", type=float, help="all channels times this (default: as --init, else 1)")
    add("--fine", type=int, help="channels of the finest level")
    add("--lr", type=float, default=2.5e-3, help="highest learning rate; about 6e-4 to go on with --init")
    add("--side", type=int, default=320, help="pixels of a training crop, a multiple of 32")
    add("--late-side", type=int, help="larger crops (and fewer) for the last fifth of the time")
    add("--batch", type=int, default=16, help="crops per rank and step")
    add("--ranks", type=int, default=min(2, os.cpu_count() or 1), help="processes, one thread each")
    add("--no-bf16", action="store_true", help="32 bits throughout, where the processor knows no bfloat16")
    add("--sources", type=json.loads, default=None, help='weights of the sources, as {"street": 2, "web": 1}')
    add("--hard", help="list that mine.py wrote: show these places more often")
    add("--unsure", help="list that mine.py wrote: learn nothing at these places")
    add("--heads", nargs="+", default=[], help="folders of rendered heads (see heads.py)")
    add("--save-minutes", type=float, default=3, help="minutes between checkpoints")
    add("--log-steps", type=int, default=50, help="steps between two lines of the log")
    add("--seed", type=int, default=0)
    return parser.parse_args()


def initial(args, pictures):
    """The network to start from."""
    config = None
    if args.width or args.fine:
        config = Config.scaled(args.width or 1.0, args.fine)
    torch.manual_seed(args.seed)
    if not args.init:
        return Detector(config or Config())
    sampler = Sampler(pictures, args.side, args.seed, args.sources)
    return weights.start(args.init, config, batch(sampler, 32)[0])


def batch(sampler, count):
    """Crops as a tensor, and their boxes."""
    crops, boxes = zip(*(sampler.sample() for _ in range(count)))
    crops = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
    return crops.to(memory_format=torch.channels_last), [torch.from_numpy(rows) for rows in boxes]


def groups(model, rate):
    """No decay for biases and normalisation: they set levels, not complexity."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    return torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.02}, {"params": vectors, "weight_decay": 0.0}],
        lr=rate,
        betas=(0.9, 0.99),
    )


class Average:
    """Exponential average of weights and statistics; it is what gets exported."""

    def __init__(self, model, state=None):
        self.state = state or {k: v.clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model, step):
        decay = min(0.998, (1 + step) / (20 + step))
        for name, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)


def reduce(model, extras, ranks):
    """Sums gradients and some numbers over the ranks in one message."""
    parameters = list(model.parameters())
    message = torch.cat([p.grad.flatten() for p in parameters] + [torch.tensor(extras, dtype=torch.float32)])
    if ranks > 1:
        dist.all_reduce(message)
    parts = message[: -len(extras)].split([p.numel() for p in parameters])
    for parameter, part in zip(parameters, parts):
        parameter.grad.copy_(part.view_as(parameter))
    return message[-len(extras) :].tolist()


def run(rank, args, pictures, model, hard, port):
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if args.ranks > 1:
        dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=args.ranks)
    last = os.path.join(args.out, "last.pt")
    saved = weights.load(last) if args.resume else None
    model = model.to(memory_format=torch.channels_last).train()
    optimiser = groups(model, args.lr)
    average = Average(model)
    step, crops, spent = 0, 0, 0.0
    if saved:
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        average = Average(model, saved["average"])
        step, crops, spent = saved["step"], saved["crops"], saved["seconds"]

    rendered = [head for folder in args.heads for head in heads.read(folder)]
    # Another stream of crops after each resumption, and for each rank.
    seed = [args.seed, rank, step]
    sampler = Sampler(pictures, args.side, seed, args.sources, hard, rendered)
    targets, count = {}, args.batch
    budget = args.minutes * 60
    written = reported = stepped = time.monotonic()
    usual = collections.deque(maxlen=100)
    sums, first, skipped = np.zeros(5), step, 0
    progress = spent / budget
    parent = os.getppid()

    def store():
        weights.save(
            last,
            {
                "config": model.config.to_json(),
                "model": model.state_dict(),
                "average": average.state,
                "optimiser": optimiser.state_dict(),
                "step": step,
                "crops": crops,
                "seconds": spent,
                "start": args.init or "random",
            },
        )

    while progress < 1:
        # With several ranks the parent only waits; if it was ended, so is the run.
        if args.ranks > 1 and os.getppid() != parent:
            sys.exit("train: the process that started this one has ended")
        if args.late_side and progress > 0.8:
            sampler.side = args.late_side
            count = max(1, round(args.batch * (args.side / args.late_side) ** 2))
        side = sampler.side
        if side not in targets:
            targets[side] = Targets(side, model.config.classes)
        warm = min(1.0, (step - first + 1) / 100)
        rate = args.lr * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in optimiser.param_groups:
            group["lr"] = rate

        pixels, boxes = batch(sampler, count)
        with torch.autocast("cpu", torch.bfloat16, enabled=not args.no_bf16):
            logits, distances = model(pixels)
        classification, fit, cells, iou = losses(logits.float(), distances.float(), boxes, targets[side])
        optimiser.zero_grad()
        (classification + BOX_WEIGHT * fit).backward()
        # Rank 0 has the clock.
        now = time.monotonic()
        usual.append(now - stepped)
        spent += min(usual[-1], LONGEST_STEP * statistics.median(usual))
        stepped = now
        extras = [cells, iou, classification.item(), fit.item(), count, spent / budget if rank == 0 else 0.0]
        cells, iou, class_sum, fit_sum, total, progress = reduce(model, extras, args.ranks)
        for parameter in model.parameters():
            parameter.grad /= max(cells, 8.0)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 8.0)
        if not math.isfinite(norm):
            skipped += 1
            if skipped > 20:
                raise FloatingPointError("gradients are not finite: use a smaller --lr or --no-bf16")
            continue
        optimiser.step()
        step += 1
        crops += int(total)
        if rank:
            continue

        average.update(model, step)
        sums += class_sum, fit_sum, iou, cells, total
        clock = time.monotonic()
        if step % args.log_steps == 0:
            log(args, step, crops, progress, rate, sums, clock - reported)
            sums, reported = np.zeros(5), time.monotonic()
        if clock - written > args.save_minutes * 60:
            store()
            written = clock
    if rank == 0:
        store()
        print(f"done: {step} steps, {crops} crops, {spent / 60:.1f} minutes", flush=True)
    if args.ranks > 1:
        dist.destroy_process_group()


def log(args, step, crops, progress, rate, sums, seconds):
    class_sum, fit_sum, iou, cells, total = sums
    entry = {
        "step": step,
        "crops": crops,
        "progress": round(progress, 4),
        "rate": float(f"{rate:.3g}"),
        "class_loss": round(class_sum / max(cells, 1), 4),
        "box_loss": round(fit_sum / max(cells, 1), 4),
        "iou": round(iou / max(cells, 1), 4),
        "cells_per_crop": round(cells / total, 1),
        "crops_per_second": round(total / seconds, 1),
    }
    print(" ".join(f"{k}={v}" for k, v in entry.items()), flush=True)
    with open(os.path.join(args.out, "log.jsonl"), "a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def main():
    args = arguments()
    if args.side % 32 or (args.late_side or 0) % 32:
        sys.exit("train: --side and --late-side are multiples of 32")
    os.makedirs(args.out, exist_ok=True)
    last = os.path.join(args.out, "last.pt")
    if os.path.exists(last) and not args.resume:
        sys.exit(f"train: {last} exists: --resume goes on from it, another --out begins anew")
    if args.resume and not os.path.exists(last):
        sys.exit(f"train: there is no {last} to resume")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pictures = coco.read(args.train, args.images)
    for picture in pictures:
        picture.load()
    hard = mine.read(args.hard, pictures) if args.hard else {}
    unsure = mine.ignore(args.unsure, pictures) if args.unsure else 0
    if args.resume:
        model = Detector(Config.from_json(weights.load(last)["config"]))
    else:
        model = initial(args, pictures)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{len(pictures)} pictures, {len(hard)} hard, {unsure} unsure places, {parameters} parameters", flush=True)
    with open(os.path.join(args.out, "arguments.json"), "w", encoding="utf-8") as file:
        json.dump(vars(args), file, indent=1)
    if args.ranks == 1:
        run(0, args, pictures, model, hard, 0)
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Forked, so that the ranks share the pictures in memory.
    mp.start_processes(run, (args, pictures, model, hard, port), args.ranks, start_method="fork")


if __name__ == "__main__":
    main()
