"""The same study by five ways of running it, in turns on one machine: `python benchmarks/throughput.py`.

A way trains 4 arms in 4 blocks of the quickstart's networks, equal steps, equal measuring, from a cold start to the
last number: this harness; one script after another with torch's defaults, as the blog posts do; Ray Tune's grid search;
Optuna with n_jobs=2; joblib's loky. Ways that are not installed are left out and said. Printed: seconds, and throughput
as a multiple of the scripts', the median over rounds with the smallest and largest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.study.design import arms
from harness.study.reading import read_study
from harness.study.study import Study

ROOT = Path(__file__).parents[1]
ONE_TRIAL = """
import sys; sys.path.insert(0, {folder!r})
import throughput; throughput.one({steps}, {blocks}, {arm!r}, {block}, {cache!r})
"""


def study(steps: int, blocks: int) -> Study:
    """The benchmark's study: 4 arms."""
    return read_study(ROOT / "studies/quickstart.yaml", overrides(steps, blocks))


def overrides(steps: int, blocks: int) -> list[str]:
    return [
        f"training.steps={steps}",
        f"design.blocks={blocks}",
        "training.ema=0.0",
        "axes={discriminator.spectral_norm: [none, convs], discriminator.final_conv.kernel_size: [5, 0]}",
        "design.kind=factorial",
    ]


def one(steps: int, blocks: int, arm: str, block: int, cache: str) -> dict[str, float | None]:
    """Train one trial as a script would: float32, torch's own threads."""
    from plain import train_and_measure

    asked = study(steps, blocks)
    settings = next(a for a in arms(asked) if a.name == arm).settings
    plain = settings.model_copy(update={"training": settings.training.model_copy(update={"precision": "float32"})})
    return train_and_measure(plain, asked.measure, block, Path(cache))


def cells(steps: int, blocks: int) -> Iterator[tuple[str, int]]:
    for block in range(blocks):
        for arm in arms(study(steps, blocks)):
            yield arm.name, block


def run_harness(steps: int, blocks: int, cache: str) -> None:
    command = [sys.executable, "-m", "harness", "run", str(ROOT / "studies/quickstart.yaml"), "--results", cache]
    command += [word for setting in overrides(steps, blocks) for word in ("--set", setting)]
    subprocess.run(command, check=True, capture_output=True)


def run_scripts(steps: int, blocks: int, cache: str) -> None:
    for arm, block in cells(steps, blocks):
        text = ONE_TRIAL.format(
            folder=str(ROOT / "benchmarks"), steps=steps, blocks=blocks, arm=arm, block=block, cache=cache
        )
        subprocess.run([sys.executable, "-c", text], check=True)


def run_ray(steps: int, blocks: int, cache: str) -> None:
    text = f"""
import sys; sys.path.insert(0, {str(ROOT / "benchmarks")!r})
import ray
from ray import tune
import throughput
names = [a.name for a in throughput.arms(throughput.study({steps}, {blocks}))]
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False,
         runtime_env={{"env_vars": {{"PYTHONPATH": {str(ROOT / "benchmarks")!r}}}}})
def trial(config):
    tune.report(throughput.one({steps}, {blocks}, config["arm"], config["block"], {cache!r}))
space = {{"arm": tune.grid_search(names), "block": tune.grid_search(list(range({blocks})))}}
results = tune.Tuner(trial, param_space=space, run_config=tune.RunConfig(storage_path={cache!r}, verbose=0)).fit()
assert results.num_errors == 0, results.errors[0]
"""
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, env=environment)


def run_optuna(steps: int, blocks: int, cache: str) -> None:
    text = f"""
import sys; sys.path.insert(0, {str(ROOT / "benchmarks")!r})
import optuna, throughput
optuna.logging.set_verbosity(optuna.logging.ERROR)
names = [a.name for a in throughput.arms(throughput.study({steps}, {blocks}))]
grid = {{"arm": names, "block": list(range({blocks}))}}
def objective(trial):
    arm = trial.suggest_categorical("arm", names)
    block = trial.suggest_categorical("block", grid["block"])
    return throughput.one({steps}, {blocks}, arm, block, {cache!r})["ssim"]
study = optuna.create_study(sampler=optuna.samplers.GridSampler(grid))
study.optimize(objective, n_trials=len(names) * {blocks}, n_jobs=2)
"""
    subprocess.run([sys.executable, "-c", text], check=True, capture_output=True)


def run_joblib(steps: int, blocks: int, cache: str) -> None:
    text = f"""
import sys; sys.path.insert(0, {str(ROOT / "benchmarks")!r})
import joblib, throughput
joblib.Parallel(n_jobs=2)(joblib.delayed(throughput.one)({steps}, {blocks}, a, b, {cache!r})
                          for a, b in throughput.cells({steps}, {blocks}))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "benchmarks")}
    subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, env=environment)


WAYS: dict[str, tuple[Callable[[int, int, str], Any], str | None]] = {
    "this harness": (run_harness, None),
    "one script after another": (run_scripts, None),
    "Ray Tune grid search": (run_ray, "ray"),
    "Optuna, n_jobs=2": (run_optuna, "optuna"),
    "joblib (loky), n_jobs=2": (run_joblib, "joblib"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=150, help="training steps of a trial")
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="ways by the start of their names, separated by commas")
    asked = parser.parse_args()
    os.environ.pop("OMP_NUM_THREADS", None)
    ways = {name: run for name, (run, module) in WAYS.items() if module is None or find_spec(module)}
    if asked.only:
        ways = {n: run for n, run in ways.items() if n.startswith(tuple(asked.only.split(",")))}
    for name in WAYS.keys() - ways.keys():
        print(f"left out: {name}")
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(asked.rounds):
        names = list(ways)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            with tempfile.TemporaryDirectory() as cache:
                start = time.perf_counter()
                ways[name](asked.steps, asked.blocks, cache)
                seconds[name].append(time.perf_counter() - start)
            print(f"round {turn + 1}, {name}: {seconds[name][-1]:.1f} s", file=sys.stderr, flush=True)
    trials = len(list(cells(asked.steps, asked.blocks)))
    print(f"{trials} trials of {asked.steps} steps, {asked.rounds} rounds, {os.cpu_count()} cores\n")
    print("| way | s a trial | throughput of this harness, as a multiple |")
    print("| --- | ---: | ---: |")
    for name, spent in seconds.items():
        ratios = [other / mine for other, mine in zip(spent, seconds["this harness"], strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"| {name} | {statistics.median(spent) / trials:.2f} | {spread} |")


if __name__ == "__main__":
    main()
