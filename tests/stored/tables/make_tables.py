"""Write the tables beside this file, each by the library that it is named after.

    python make_tables.py TOOL [FOLDER]

Every library logs the same experiment: spectral norm `none`, `convs` or `heads`, six seeds, three steps, one trial that
fails after its second step (`heads`, seed 4) and, where the library stops trials early, one that it stops
(`heads`, seed 2). README.md says which versions wrote what is stored.
"""

from __future__ import annotations

import csv
import math
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ARMS, SEEDS, STEPS = ("none", "convs", "heads"), range(6), (100, 200, 300)
EFFECT = {"none": 0.0, "convs": -6.0, "heads": 0.2}
FAILS, STOPPED = ("heads", 4), ("heads", 2)
LR = 0.0002


def fid(arm: str, seed: int, step: int) -> float:
    """Return a trial's FID: a seed's own level, the arm's effect, some noise, and learning over steps."""
    level = np.random.default_rng(seed).normal(60, 5)
    noise = np.random.default_rng([seed, ARMS.index(arm), step]).normal(0, 0.8)
    return round(float(level + EFFECT[arm] + noise + 30 * math.exp(-step / 60)), 4)


def accuracy(arm: str, seed: int, step: int) -> float:
    """Return a trial's accuracy, which is higher the lower its FID is."""
    return round(1 - fid(arm, seed, step) / 200, 6)


def trials() -> list[tuple[str, int]]:
    """Return arm and seed of all trials, block by block."""
    return [(arm, seed) for seed in SEEDS for arm in ARMS]


def metrics(arm: str, seed: int, step: int) -> dict[str, float]:
    """Return what a trial logs at a step."""
    return {"fid": fid(arm, seed, step), "accuracy": accuracy(arm, seed, step)}


def settings(arm: str, seed: int) -> dict[str, object]:
    """Return a trial's settings."""
    return {"spectral_norm": arm, "seed": seed, "lr": LR, "batch_size": 16}


def steps(arm: str, seed: int) -> tuple[int, ...]:
    """Return the steps at which a trial logs: the one that fails stops after the second."""
    return STEPS[:2] if (arm, seed) == FAILS else STEPS


def optuna(folder: Path) -> None:
    """`Study.trials_dataframe()`: states COMPLETE, FAIL and PRUNED."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial: optuna.Trial) -> float:
        arm, seed = trial.suggest_categorical("spectral_norm", ARMS), trial.suggest_int("seed", 0, 5)
        trial.suggest_float("lr", LR, LR)
        for step in steps(arm, seed):
            trial.report(fid(arm, seed, step), step)
            if (arm, seed) == STOPPED:
                raise optuna.TrialPruned
        if (arm, seed) == FAILS:
            raise FloatingPointError("loss is nan")
        trial.set_user_attr("accuracy", accuracy(arm, seed, STEPS[-1]))
        return fid(arm, seed, STEPS[-1])

    grid = {"spectral_norm": list(ARMS), "seed": list(SEEDS), "lr": [LR]}
    study = optuna.create_study(sampler=optuna.samplers.GridSampler(grid, seed=0))
    study.optimize(objective, n_trials=18, catch=(FloatingPointError,))
    study.trials_dataframe().to_csv(folder / "optuna_trials.csv", index=False)


def mlflow(folder: Path) -> None:
    """`mlflow.search_runs()` as CSV and Parquet; the history of one metric of every run as the client returns it."""
    import mlflow
    import pandas as pd

    with tempfile.TemporaryDirectory() as scratch:
        mlflow.set_tracking_uri(f"sqlite:///{scratch}/mlflow.db")
        mlflow.create_experiment("spectral_norm", artifact_location=f"{scratch}/artifacts")
        mlflow.set_experiment("spectral_norm")
        for arm, seed in trials():
            mlflow.start_run(run_name=f"{arm}-seed{seed}")
            mlflow.log_params(settings(arm, seed))
            for step in steps(arm, seed):
                mlflow.log_metrics(metrics(arm, seed, step), step=step)
            mlflow.end_run("FAILED" if (arm, seed) == FAILS else "FINISHED")
        runs = mlflow.search_runs()
        runs["artifact_uri"] = "file:///artifacts"
        runs.to_csv(folder / "mlflow_runs.csv", index=False)
        runs.to_parquet(folder / "mlflow_runs.parquet")
        client = mlflow.MlflowClient()
        histories = [
            {**dict(measured), "run_id": run.run_id, "spectral_norm": run["params.spectral_norm"]}
            | {"seed": run["params.seed"], "status": run.status}
            for _, run in runs.iterrows()
            for measured in client.get_metric_history(run.run_id, "fid")
        ]
        pd.DataFrame(histories).to_csv(folder / "mlflow_history.csv", index=False)


def wandb(folder: Path) -> None:
    """Offline runs, and from their `config` and what was logged the CSV files of wandb's web page (see README.md)."""
    import wandb

    runs: list[dict[str, object]] = []
    history: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for arm, seed in trials():
            run = wandb.init(
                project="gan", name=f"{arm}-seed{seed}", config=settings(arm, seed), mode="offline", dir=scratch
            )
            for step in steps(arm, seed):
                run.log(metrics(arm, seed, step), step=step)
                history.setdefault(step, {})[f"{arm}-seed{seed}"] = fid(arm, seed, step)
            failed = (arm, seed) == FAILS
            run.finish(exit_code=int(failed))
            page = {"Name": run.name, "State": "failed" if failed else "finished", "Notes": "-", "User": "someone"}
            page |= {"Tags": "", "Created": "2026-11-24T11:00:00.000Z", "Runtime": 1, "Sweep": ""}
            runs.append({**page, **dict(run.config), **metrics(arm, seed, steps(arm, seed)[-1])})
    with (folder / "wandb_runs.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, list(runs[0]), quoting=csv.QUOTE_ALL, lineterminator="\n")
        table.writeheader()
        table.writerows(reversed(runs))
    names = [str(run["Name"]) for run in runs]
    with (folder / "wandb_history.csv").open("w", newline="") as stream:
        lines = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\n")
        lines.writerow(["Step", *(f"{name} - fid{end}" for name in names for end in ("", "__MIN", "__MAX"))])
        lines.writerows(
            [step, *(history[step].get(n, "") for n in names for _ in range(3))] for step in sorted(history)
        )


def ray(folder: Path) -> None:
    """`ResultGrid.get_dataframe()`, and each trial's own folder with its `progress.csv` and `params.json`."""
    import ray
    from ray import tune

    def train(config: dict[str, object]) -> None:
        arm, seed = str(config["spectral_norm"]), int(str(config["seed"]))
        for step in steps(arm, seed):
            tune.report(metrics(arm, seed, step))
        if (arm, seed) == FAILS:
            raise FloatingPointError("loss is nan")

    def stop(trial_id: str, result: dict[str, object]) -> bool:
        config = result["config"]
        return (config["spectral_norm"], config["seed"]) == STOPPED

    ray.init(num_cpus=1, include_dashboard=False, configure_logging=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as scratch:
        space = {
            "spectral_norm": tune.grid_search(list(ARMS)),
            "seed": tune.grid_search(list(SEEDS)),
            "lr": LR,
            "batch_size": 16,
        }
        results = tune.Tuner(
            tune.with_resources(train, {"cpu": 1}),
            param_space=space,
            run_config=tune.RunConfig(storage_path=scratch, name="gan", stop=stop, verbose=0),
        ).fit()
        results.get_dataframe().to_csv(folder / "ray_results.csv", index=False)
        shutil.rmtree(folder / "ray", ignore_errors=True)
        for trial in sorted(Path(scratch, "gan").glob("train_*")):
            kept = folder / "ray" / trial.name
            kept.mkdir(parents=True)
            for name in ("progress.csv", "params.json", "error.txt"):
                if (trial / name).exists():
                    shutil.copy(trial / name, kept)
    ray.shutdown()


def lightning(folder: Path) -> None:
    """`CSVLogger`: a folder `version_N` a trial, with `metrics.csv` and `hparams.yaml`."""
    from lightning.pytorch.loggers import CSVLogger

    shutil.rmtree(folder / "lightning", ignore_errors=True)
    for arm, seed in trials():
        logger = CSVLogger(folder / "lightning", name="")
        logger.log_hyperparams(settings(arm, seed))
        for epoch, step in enumerate(STEPS):
            logger.log_metrics({"train_loss": 1 / step, "epoch": epoch}, step=step - 1)
            bad = (arm, seed) == FAILS and step == STEPS[-1]
            values = {name: math.nan if bad else value for name, value in metrics(arm, seed, step).items()}
            logger.log_metrics({**values, "epoch": epoch}, step=step - 1)
        logger.save()


def tensorboard(folder: Path) -> None:
    """The CSV that TensorBoard's page hands out for one tag of one run, from its own server; one event file a trial."""
    import http.client
    import urllib.parse

    from tensorboard import default, program
    from torch.utils.tensorboard import SummaryWriter

    shutil.rmtree(folder / "tensorboard", ignore_errors=True)
    (folder / "tensorboard").mkdir()
    with tempfile.TemporaryDirectory() as scratch:
        for arm, seed in trials():
            with SummaryWriter(f"{scratch}/{arm}_seed{seed}") as writer:
                for step in steps(arm, seed):
                    writer.add_scalar("val/fid", fid(arm, seed, step), step)
        board = program.TensorBoard(default.get_plugins())
        board.configure(argv=[None, "--logdir", scratch, "--port", "0", "--load_fast", "false"])
        url = urllib.parse.urlparse(board.launch())
        connection = http.client.HTTPConnection("127.0.0.1", url.port)

        def fetched(path: str) -> str:
            connection.request("GET", path)
            return connection.getresponse().read().decode()

        wanted = {f"{arm}_seed{seed}" for arm, seed in trials()}
        while not all(run in fetched("/data/plugin/scalars/tags") for run in wanted):
            pass
        for run in sorted(wanted):
            query = urllib.parse.urlencode({"tag": "val/fid", "run": run, "format": "csv"})
            (folder / "tensorboard" / f"run-{run}-tag-val_fid.csv").write_text(
                fetched(f"/data/plugin/scalars/scalars?{query}")
            )


def aim(folder: Path) -> None:
    """`Metric.dataframe(include_run=True)` of every trial's FID, one below the other."""
    import aim
    import pandas as pd

    scratch, frames = tempfile.mkdtemp(), []
    repo = aim.Repo(scratch, init=True)
    for arm, seed in trials():
        run = aim.Run(repo=repo, system_tracking_interval=None, log_system_params=False, capture_terminal_logs=False)
        run["hparams"] = settings(arm, seed)
        for step in steps(arm, seed):
            run.track(fid(arm, seed, step), name="fid", step=step, context={"subset": "val"})
        (metric,) = run.metrics()
        frames.append(metric.dataframe(include_run=True, include_name=True, include_context=True))
        run.close()
    pd.concat(frames).to_csv(folder / "aim_metrics.csv", index=False)
    shutil.rmtree(scratch)


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]) if len(sys.argv) > 2 else HERE)
