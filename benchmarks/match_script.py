"""What named draws do for a script that knows nothing of them: `nice -n 10 python benchmarks/match_script.py`.

`zi2zi_like.py` is run as it is, and with two edits such as people make: spectral norm on the discriminator's
convolutions, and its final convolution dropped. Each arm runs once a block with the script's own seed (`manual_seed`),
and once with named draws, in children of one process, which imports torch once. Printed: what the arms share before
the first step, the batches that are equal, processor time, and the variance of paired differences against that of
unpaired ones, of the logarithm of the held-out L1. Last, a step's processor time with named draws over that without, in
turns within one process.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import runpy
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import torch

from harness import matched
from harness.named_draws.activation import NamedDraws
from harness.named_draws.command import Matching
from harness.named_draws.compare import compare_traces
from harness.named_draws.trace import Trace

SCRIPT = Path(__file__).parent / "zi2zi_like.py"
CONVS = ("nn.Conv2d(2, ", "nn.Conv2d(channels", "nn.Conv2d(2 * channels", "nn.Conv2d(4 * channels")
FINAL = "            nn.Conv2d(4 * channels, 8 * channels, 4, 1, 1),\n"
ARMS = ("as it is", "spectral norm on D's convs", "final conv dropped")
TURN = 4


def edited(arm: str) -> str:
    """Return the script as somebody would edit it for an arm."""
    text = SCRIPT.read_text()
    if arm == ARMS[1]:
        lines = text.splitlines()
        for number, line in enumerate(lines):
            if line.strip().startswith(CONVS) and "wide" not in line:
                lines[number] = f"            nn.utils.spectral_norm({line.strip().removesuffix(',')}),"
        text = "\n".join(lines)
        assert text.count("spectral_norm") == 4
    if arm == ARMS[2]:
        assert FINAL in text
        text = (
            text.replace(FINAL, "")
            .replace("size // 8 - 1", "size // 8")
            .replace("(8 * channels * side", "(4 * channels * side")
        )
    return text


class Run(NamedTuple):
    """One run of the script: logarithm of L1, seconds of processor time, trace."""

    value: float
    seconds: float
    trace: Path


def run(folder: Path, arm: str, block: int, *, named: bool, steps: int) -> Run:
    """Run an arm in a child of this process, which has imported what the script imports."""
    place = folder / arm
    place.mkdir(exist_ok=True)
    script, out = place / "train.py", folder / f"{arm} {block} {named}"
    script.write_text(edited(arm))
    matching = Matching(block=str(block), name=named, trace=f"{out}.jsonl" if block == 0 else None)
    sys.stdout.flush()
    child = os.fork()
    if not child:
        code = 1
        try:
            words = f"--random_seed {block} --steps {steps} --experiment_dir".split()
            sys.argv = [str(script), *words, str(out)]
            with traced(matching) if block == 0 or named else nullcontext():
                runpy.run_path(str(script), run_name="__main__")
            code = 0
        finally:
            os._exit(code)
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"{arm} in block {block} failed")
    value = math.log(json.loads((out / "result.json").read_text())["l1"])
    return Run(value, usage.ru_utime + usage.ru_stime, Path(f"{out}.jsonl"))


@contextmanager
def traced(matching: Matching) -> Iterator[None]:
    """Name draws, or only trace them, and trace them in the first block."""
    draws = NamedDraws(matching, trace=None if matching.trace is None else Trace(Path(matching.trace), matching))
    draws.start()
    yield
    draws.stop()


def overhead(turns: int) -> tuple[float, float, float, float]:
    """Return milliseconds of a plain step, and the quartiles over turns of a named step's processor time over its.

    Which of the two goes first changes from turn to turn.
    """
    import zi2zi_like

    args = zi2zi_like.parse(["--experiment_dir", "none", "--channels", "8"])
    trainer = zi2zi_like.Trainer(args)
    loader = zi2zi_like.loaders(args)[0]

    def seconds(*, named: bool) -> float:
        with matched(0) if named else nullcontext():
            batches = iter(loader)
            trainer.step(*next(batches))
            start = time.process_time()
            for _ in range(TURN):
                trainer.step(*next(batches))
            return (time.process_time() - start) / TURN

    times: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(turns):
        for named in (False, True) if turn % 2 else (True, False):
            times[named].append(seconds(named=named))
    low, middle, high = statistics.quantiles([n / p for p, n in zip(times[False], times[True], strict=True)], n=4)
    return 1000 * statistics.median(times[False]), low, middle, high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=6)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--turns", type=int, default=30)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # imports the compiler, once for all runs
    ways = {"as the script seeds them": False, "named": True}
    with tempfile.TemporaryDirectory() as scratch:
        runs = {
            (way, arm, block): run(Path(scratch), arm, block, named=named, steps=options.steps)
            for block in range(options.blocks)
            for arm in ARMS
            for way, named in ways.items()
        }
        for (way, arm, block), one in runs.items():
            print(f"{way}, {arm}, block {block}: log L1 {one.value:.4f}, {one.seconds:.1f} s", file=sys.stderr)
        print("| arm, against the script as it is | draws | G's weights equal | D's | batches equal |")
        print("| --- | --- | ---: | ---: | ---: |")
        for arm in ARMS[1:]:
            for way in ways:
                shared = compare_traces(runs[way, ARMS[0], 0].trace, runs[way, arm, 0].trace)
                d, g = (one.elements.share or 0.0 for one in shared.optimizers)
                print(f"| {arm} | {way} | {g:.3f} | {d:.3f} | {shared.batches.equal} of {shared.batches.a} |")
    columns = ("mean difference", "sd of paired differences", "correlation", "times less variance than unpaired")
    print(f"\n| arm, against the script as it is | draws | {' | '.join(columns)} |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for arm in ARMS[1:]:
        for way in ways:
            base = [runs[way, ARMS[0], block].value for block in range(options.blocks)]
            other = [runs[way, arm, block].value for block in range(options.blocks)]
            differences = [b - a for a, b in zip(base, other, strict=True)]
            ratio = (statistics.variance(base) + statistics.variance(other)) / statistics.variance(differences)
            print(
                f"| {arm} | {way} | {statistics.mean(differences):+.3f} | {statistics.stdev(differences):.3f} "
                f"| {statistics.correlation(base, other):.2f} | {ratio:.1f} |"
            )
    for way in ways:
        times = [one.seconds for (of, _, block), one in runs.items() if of == way and block]
        print(f"\nprocessor time of a run, {way}: {statistics.median(times):.1f} s (median of {len(times)})")
    milliseconds, low, middle, high = overhead(options.turns)
    print(
        f"\na step of {milliseconds:.0f} ms takes {100 * (middle - 1):+.1f} % with named draws "
        f"(quartiles {100 * (low - 1):+.1f} to {100 * (high - 1):+.1f} %, {options.turns} pairs of {TURN} steps)"
    )


if __name__ == "__main__":
    main()
