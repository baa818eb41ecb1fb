"""Matched-pair ablations of image GANs: does this design choice help, hurt, or make no difference?

What stands in `__all__` is the public API; everything heavy is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from harness.provenance import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import pandas as pd

    from harness.driver import Happening
    from harness.errors import HarnessError
    from harness.executors.base import Executor
    from harness.executors.named import ExecutorName
    from harness.named_draws.activation import NamedDraws
    from harness.report.loaded import LoadedStudy
    from harness.statistics import Margin
    from harness.statistics.verdict_rule import Better, Scale
    from harness.study.study import Study
    from harness.verdicts.judge import StudyVerdicts

__all__ = ["HarnessError", "Study", "__version__", "compare", "load", "matched", "plan", "run", "score"]
__version__ = VERSION


def __getattr__(name: str) -> Any:
    """Import a class of the API when it is first asked for."""
    if name == "Study":
        from harness.study.study import Study

        return Study
    if name == "HarnessError":
        from harness.errors import HarnessError

        return HarnessError
    raise AttributeError(f"module 'harness' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def run(
    study: Study | str | Path,
    *,
    results: str | Path = "results",
    executor: ExecutorName | Executor = "local",
    workers: int | None = None,
    settings: Iterable[str] = (),
    watch: Callable[[Happening], None] | None = None,
) -> StudyVerdicts:
    """Compute every trial of a study that has no row yet, write its report, and return what the rows say.

    Args:
        study: A study, or the path of a study file.
        results: Folder that holds a folder per study, or a URI such as ``s3://bucket/results``.
        executor: Where trials are computed: a name, or an executor of your own.
        workers: Trials at a time at most; as many as there are cores, or as a cluster has room for, unless given.
        settings: ``dotted.path=value``, laid over the study, as ``--set`` does.
        watch: Called with each event: started, progress, stored, look.

    Raises:
        HarnessError: The study is wrong, the folder is another study's or in use, or the data is missing.

    Example:
        >>> import harness
        >>> verdicts = harness.run("studies/quickstart.yaml")  # doctest: +SKIP
        >>> [(c.arm, c.verdict, c.ci.low, c.ci.high) for c in verdicts.contrasts]  # doctest: +SKIP
    """
    from harness.driver import Driver
    from harness.executors.named import executor_named
    from harness.report.write import refresh
    from harness.study.reading import checked

    asked = checked(study, settings)
    if isinstance(executor, str):
        executor = executor_named(executor, workers=workers, cpus=asked.runner.cpus, gpus=asked.runner.gpus)
    driver = Driver(asked, results, executor=executor, watch=watch or (lambda _: None))
    verdicts = driver.run()
    refresh(verdicts, driver.store)
    return verdicts


def plan(
    study: Study | str | Path,
    *,
    results: str | Path = "results",
    workers: int | None = None,
    settings: Iterable[str] = (),
    build: bool = True,
) -> dict[str, Any]:
    """Return the document of ``plan --json``: arms, trials, proofs, costs, estimated time; trains nothing.

    Args:
        study: A study, or the path of a study file.
        results: Where rows of a pilot are, if there are any.
        workers: Processes that will compute the study; as many as there are cores unless given.
        settings: ``dotted.path=value``, laid over the study.
        build: Build the arms to prove and to measure them; without it nothing needs torch.

    Raises:
        HarnessError: The study is wrong, or the data is missing.

    Example:
        >>> import harness
        >>> document = harness.plan("studies/quickstart.yaml", build=False)  # doctest: +SKIP
        >>> document["trials"], [arm["arm"] for arm in document["arms"]]  # doctest: +SKIP
    """
    from harness.executors.named import cores
    from harness.preflight.plan import plan_document
    from harness.study.reading import checked

    return plan_document(checked(study, settings), results=results, workers=workers or cores(), build=build)


def load(folder: str | Path) -> LoadedStudy:
    """Return a study's results: `trials`, `measurements`, `signals` and `verdicts` as pandas frames, `plot()`.

    Args:
        folder: A study's results, e.g. ``results/quickstart`` or ``s3://bucket/results/quickstart``.

    Raises:
        HarnessError: The folder holds no study, or the URI does not answer.

    Example:
        >>> import harness
        >>> results = harness.load("results/quickstart")  # doctest: +SKIP
        >>> results.verdicts[["metric", "arm", "verdict"]]  # doctest: +SKIP
        >>> results.plot().savefig("forest.pdf")  # doctest: +SKIP
    """
    from harness.report.loaded import LoadedStudy
    from harness.results.store import Store

    return LoadedStudy(Store.at(folder).fetched())


def compare(
    table: pd.DataFrame | str | Path | Sequence[str | Path],
    *,
    unit: str | Sequence[str] | None = None,
    arm: str | Sequence[str] | None = None,
    value: str | None = None,
    baseline: str | float | None = None,
    better: Better | None = None,
    scale: Scale = "raw",
    margin: Margin | str | float | None = None,
    looks: str | Sequence[int] | None = None,
    where: str | Sequence[str] = (),
    ok: str | Sequence[str] = (),
    failed: str | None = None,
    at: str | int | None = None,
    step: str | None = None,
    pattern: str | None = None,
    ignore: str | Sequence[str] = (),
    factors: str | Sequence[str] = (),
    positive_control: str | None = None,
    expect: Literal["worse", "better", "differs"] = "worse",
) -> dict[str, Any]:
    """Return the document of ``compare --json``: the statistics of a study on any table of unit, arm and value.

    Args:
        table: A frame, a CSV or Parquet file, several files, or a folder with a file a trial: a row per unit and arm,
            several over steps, or a column per arm.
        unit: Column of the block, seed or subject, or several.
        arm: Column of the arm, or several; of a table with a column per arm, those columns.
        value: Column of the value.
        baseline: The arm that the others are compared with.
        better: Which direction is better; may be left out where the name of the value says it.
        scale: ``log`` compares ratios of positive values, ``raw`` differences.
        margin: The smallest difference that matters: 0.6, or ``5%``.
        looks: Schedule of looks, in blocks.
        where: Conditions on rows, such as ``lr == 0.0002``.
        ok: States that are complete; others are failures then.
        failed: Column of states, or that says which trials failed; without it an empty value is a failure.
        at: Of several rows a trial ``last``, ``best`` or a step.
        step: Column of the steps.
        pattern: How trials or their files are named, such as ``{arm}/seed{seed}``.
        ignore: Columns of numbers that are no settings.
        factors: Factor columns of a factorial table.
        positive_control: An arm known to differ; unless it is told apart as expected nothing is called equivalent.
        expect: How that arm must differ.

    Raises:
        HarnessError: A column is missing or ambiguous, or the table cannot be compared.

    Example:
        >>> import harness, pandas
        >>> table = pandas.DataFrame({"seed": [1, 2, 3, 4], "old": [61.0, 64, 59, 63], "new": [55.0, 57, 54, 56]})
        >>> document = harness.compare(table, baseline="old", better="lower", scale="log", margin="5%")
        >>> print(document["contrasts"][0]["verdict"])
        helps
    """
    from harness.tables import compare as compare_table

    return compare_table(
        table,
        unit=unit,
        arm=arm,
        value=value,
        baseline=baseline,
        better=better,
        scale=scale,
        margin=margin,
        looks=looks,
        where=where,
        ok=ok,
        failed=failed,
        at=at,
        step=step,
        pattern=pattern,
        ignore=ignore,
        factors=factors,
        positive_control=positive_control,
        expect=expect,
    )


def score(
    real: str | Path, fake: str | Path, *, metrics: Sequence[str] | None = None, size: int | None = None, seed: int = 0
) -> dict[str, Any]:
    """Return the document of ``score --json``: distances and similarities of two folders of images.

    Args:
        real: A folder of real images, or a ``.npy`` or ``.npz`` file of their features.
        fake: The same, of generated images.
        metrics: Names such as ``fid_efficientnet``; the usual ones unless given.
        size: Side in pixels to which images of other sizes are resized.
        seed: Of random subsets.

    Raises:
        HarnessError: Paths, images or metrics do not fit.

    Example:
        >>> import harness
        >>> harness.score("real/", "generated/")["metrics"]  # doctest: +SKIP
    """
    from pathlib import Path

    from harness.metrics.score import score as score_folders

    return score_folders(Path(real), Path(fake), metrics=metrics, size=size, seed=seed)


def matched(block: int | str, *, seed: int = 0, trace: str | Path | None = None) -> AbstractContextManager[NamedDraws]:
    """Name every draw of torch, NumPy and `random` inside a ``with``, as ``match`` does for whole programs.

    Args:
        block: The block; equal in the arms that are compared.
        seed: The study's seed; another one is a replication.
        trace: File for the draws, batches and first weights of what runs inside.

    Raises:
        HarnessError: Draws are named already.

    Example:
        >>> import harness, random
        >>> def draws(extra):
        ...     with harness.matched(block=3):
        ...         other = [random.gauss(0, 1) for _ in range(extra)]
        ...         return random.random()
        >>> draws(extra=0) == draws(extra=5)
        True
    """
    from harness.named_draws.activation import matched as named_draws

    return named_draws(block, seed=seed, trace=trace)
