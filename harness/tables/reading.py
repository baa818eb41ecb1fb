"""Tables as tools export them: one file, several, or a folder with a file for each trial."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.errors import DataError, did_you_mean
from harness.tables.columns import RUN_NAMES, first_of
from harness.tables.run_files import RUN_FILES, settings_beside, trial_files, unpacked
from harness.tables.steps import NOT_A_NUMBER

TEXT_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
PARQUET_ENDINGS = (".parquet", ".pq")
Source = pd.DataFrame | str | Path | Sequence[str | Path]

_BOARD_FILE = re.compile(r"(?:run-)?(?P<run>.+)-tag-(?P<tag>.+)")
_BOARD_COLUMNS = ["Wall time", "Step", "Value"]
_HISTORY = re.compile(r"(?P<run>.+) - (?P<metric>.+?)(?P<end>__MIN|__MAX)?")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows, and what they are called in messages and documents."""

    frame: pd.DataFrame
    where: str
    name: str


def read(source: Source, pattern: str | None = None) -> Table:
    """Return the rows of a frame, of files or of folders.

    A folder of Parquet files is one table. Of other folders the files that tools write for each trial are read
    (``progress.csv``, ``metrics.csv``), else every CSV; rows get the trial's place as column `run`, and the settings
    that lie beside (``params.json``, ``hparams.yaml``) as columns ``config/…``. W&B's table of histories, a column a
    trial, becomes long.

    Args:
        source: A frame, a path, or several paths.
        pattern: How trials are named, such as ``{arm}/seed{seed}``; its parts become columns.

    Raises:
        DataError: There is no such file, it cannot be read, it has no rows, or a name does not fit the pattern.
    """
    if isinstance(source, pd.DataFrame):
        frame, where, name = _as_read(source), "table", "frame"
    else:
        paths = [Path(source)] if isinstance(source, str | Path) else [Path(path) for path in source]
        if not paths:
            raise DataError("table: no file; name one or more")
        name = ", ".join(map(str, paths))
        where = paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more"
        frame = _together(paths)
    return Table(frame if pattern is None else _parsed(frame, pattern, where), where, name)


def read_file(path: Path) -> pd.DataFrame:
    """Return the rows of a CSV, TSV or Parquet file, or of a folder of Parquet files."""
    if not path.exists():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"{path}: no such file{did_you_mean(path.name, near) if len(near) < 50 else ''}")
    name = path.name.lower()
    try:
        if path.is_dir() or name.endswith(PARQUET_ENDINGS):
            table = pd.read_parquet(path)
        elif name.endswith(TEXT_ENDINGS):
            table = _read_text(path, "\t" if ".tsv" in name else ",")
        else:
            raise DataError(f"{path}: unknown kind of table; allowed: {', '.join(TEXT_ENDINGS + PARQUET_ENDINGS)}")
    except (ValueError, OSError) as error:
        raise DataError(f"{path}: cannot be read as a table ({str(error).splitlines()[0]})") from error
    return _long_history(_as_read(table, str(path)))


def _read_text(path: Path, separator: str) -> pd.DataFrame:
    """Return a text table; a number that was logged as NaN is the word, since an empty cell says something else."""
    table = pd.read_csv(path, sep=separator, skipinitialspace=True)
    gaps = [i for i, kind in enumerate(table.dtypes) if kind.kind == "f" and table.iloc[:, i].isna().any()]
    if gaps:
        text = pd.read_csv(path, sep=separator, skipinitialspace=True, dtype=str, keep_default_na=False, usecols=gaps)
        for i, name in zip(gaps, text.columns, strict=True):
            said = text[name].str.strip().str.lower().isin(("nan", "-nan")).to_numpy()
            if said.any():
                table[table.columns[i]] = table.iloc[:, i].astype(object).mask(said, NOT_A_NUMBER)
    return table


def _as_read(table: pd.DataFrame, where: str = "table") -> pd.DataFrame:
    """Return a frame with an index that has a meaning as columns, text for column names, and dictionaries unpacked."""
    counted = table.index.names == [None] and pd.api.types.is_integer_dtype(table.index)
    table = table.reset_index(drop=counted)
    if table.empty:
        raise DataError(
            f"{where}: no rows; one row per unit and arm is needed, or one row per unit with a column per arm"
        )
    table = table.rename(columns=lambda column: str(column).strip())
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise DataError(f"{where}: more than one column '{twice[0]}'; name each once")
    for name in table.columns:
        if isinstance(table[name].dtype, pd.CategoricalDtype):
            table[name] = table[name].astype(table[name].cat.categories.dtype)
    return unpacked(table, where)


def _together(paths: Sequence[Path]) -> pd.DataFrame:
    """Return the rows of all files below each other, with the trial that each file is of as column `run`."""
    files: list[tuple[Path, str]] = []
    for path in paths:
        if path.is_dir() and not any(file.name.endswith(PARQUET_ENDINGS) for file in path.rglob("*")):
            files += trial_files(path, TEXT_ENDINGS)
        else:
            files.append((path, path.parent.name if path.name in RUN_FILES else path.name.partition(".")[0]))
    if len(files) == 1 and files[0][0] in paths:
        return read_file(files[0][0])
    frames = [_of_trial(path, run) for path, run in files]
    tables_of_runs = [frame for frame in frames if "Name" in frame and "run" not in frame]
    histories = [frame for frame in frames if "run" in frame]
    if tables_of_runs and histories and all("Step" in frame for frame in histories):
        trials = pd.concat(tables_of_runs, ignore_index=True)
        history = pd.concat(histories, ignore_index=True)
        # Trials without any history stay: they failed before they logged something.
        return history.merge(
            trials, left_on="run", right_on="Name", how="outer", suffixes=("", " of the table of runs")
        )
    return pd.concat(frames, ignore_index=True)


def _of_trial(path: Path, run: str) -> pd.DataFrame:
    """Return a file's rows with what its name and the files beside it say of the trial.

    A trial that left its settings and an empty table, or none, is a row without values.
    """
    if path.name in RUN_FILES and (not path.exists() or path.stat().st_size == 0):
        return pd.DataFrame([{"run": run, **settings_beside(path)}])
    table, board = read_file(path), _BOARD_FILE.fullmatch(run)
    if list(table.columns) == _BOARD_COLUMNS and board is not None:
        return table.rename(columns={"Value": board["tag"]}).assign(run=board["run"])
    if "run" in table or first_of(table, RUN_NAMES) == "Name":
        return table
    beside = pd.DataFrame([{"run": run, **settings_beside(path)}] * len(table), index=table.index)
    return pd.concat([table, beside[beside.columns.difference(table.columns, sort=False)]], axis=1)


def _long_history(table: pd.DataFrame) -> pd.DataFrame:
    """Return W&B's table of histories (``Step``, then ``run - metric`` for each trial) with a row a trial and step."""
    first, *others = table.columns
    read = [_HISTORY.fullmatch(column) for column in others]
    if not others or not all(read) or len({m["metric"] for m in read if m}) * 2 > len(others):
        return table
    series = [
        pd.DataFrame({"run": m["run"], "Step": table[first], m["metric"]: table[column]})
        for column, m in zip(others, read, strict=True)
        if m is not None and m["end"] is None
    ]
    return pd.concat(series, ignore_index=True)


def _parsed(table: pd.DataFrame, pattern: str, where: str) -> pd.DataFrame:
    """Return rows with the parts of their trials' names as columns."""
    pieces = re.split(r"(\{[^{}]*\}|\*)", pattern)
    fields = [piece[1:-1] for piece in pieces if piece.startswith("{")]
    if (
        not fields
        or not all(re.fullmatch(r"[A-Za-z_]\w*", field) for field in fields)
        or len(set(fields)) < len(fields)
    ):
        raise DataError(f"pattern: '{pattern}' found; name its parts, such as '{{arm}}/seed{{seed}}'; * fits anything")
    expression = "".join(
        f"(?P<{piece[1:-1]}>[^/]+?)" if piece.startswith("{") else "[^/]*" if piece == "*" else re.escape(piece)
        for piece in pieces
    )
    column = next((name for name in ("run", "Name", "tags.mlflow.runName", "name") if name in table), None)
    if column is None:
        raise DataError(f"{where}: no names of trials for --pattern; it reads the paths of files or a column 'Name'")
    read = {name: re.search(f"(?:^|/){expression}$", str(name)) for name in table[column].unique()}
    wrong = next((name for name, match in read.items() if match is None), None)
    if wrong is not None:
        raise DataError(f"{where}: the trial '{wrong}' does not fit --pattern '{pattern}'")
    return table.assign(**{field: [read[name][field] for name in table[column]] for field in fields})  # type: ignore[index]
