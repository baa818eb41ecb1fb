"""What share of small changes of the code its own fast tests notice: `python tests/mutants.py [COUNT [SEED]]`.

Changes named below, each of which must be noticed, then a seeded sample of cosmic-ray's mutants of modules on which
every result rests. All are made in a copy of the checkout. Annotations are no code here, so `|` is left alone.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.testing import run_tests
from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import MutationSpec, TestOutcome

ROOT = Path(__file__).parents[1]
SECONDS = 180
"""That the tests of one mutant may take; one that runs for ever is noticed."""
STORE = "tests/unit/test_results_store.py tests/unit/test_verdicts_rows.py"
STATISTICS = "paired_tests", "contrasts", "family", "decisions", "group_sequential", "verdict_rule", "student_t"
TESTS = {
    "harness/randomness.py": "tests/unit/test_randomness.py",
    "harness/results/store.py": STORE,
    **{
        f"harness/statistics/{name}.py": "tests/unit/test_statistics_paired_tests.py "
        "tests/unit/test_statistics_verdict_rule.py tests/unit/test_statistics_contrasts.py "
        "tests/unit/test_statistics_family.py tests/unit/test_statistics_group_sequential.py"
        for name in STATISTICS
    },
}
BY_HAND = (
    ("harness/randomness.py", "digest[:8]", "digest[:4]", "tests/unit/test_randomness.py"),
    ("harness/results/store.py", "write_page_checksum=True", "write_page_checksum=False", STORE),
    ("harness/results/store.py", "self._set_aside(dict.fromkeys(damaged))", "pass", STORE),
    (
        "harness/trial/run.py",
        "{data.hash}/{code_version(task.doors)}",
        "{data.hash}",
        "tests/integration/test_executors_in_process.py",
    ),
)


def mutants(module: str) -> list[MutationSpec]:
    """Return all mutants of a module of the copy, in the order of its lines."""
    database = WorkDB(":memory:", WorkDB.Mode.create)
    init([Path(module)], database, {})
    found = [mutation for item in database.work_items for mutation in item.mutations]
    database.close()
    code = [m for m in found if "BitOr" not in m.operator_name]
    return sorted(code, key=lambda m: (m.start_pos, m.end_pos, m.operator_name, m.occurrence))


def command(tests: str) -> str:
    return f"{sys.executable} -m pytest -x -q -n 0 -p no:cacheprovider {tests}"


def main(count: int = 90, seed: int = 1) -> int:
    """Print the share that was noticed of each module, and every survivor; return how many named changes survived."""
    copy = Path(tempfile.mkdtemp(prefix="mutants")) / "checkout"
    for part in ("harness", "tests", "studies"):
        shutil.copytree(ROOT / part, copy / part)
    shutil.copy(ROOT / "pyproject.toml", copy)
    os.chdir(copy)
    os.environ |= {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "HYPOTHESIS_STORAGE_DIRECTORY": str(copy / "h")}
    for tests in sorted({*TESTS.values(), *(tests for *_, tests in BY_HAND)}):
        outcome, output = run_tests(command(tests), 4 * SECONDS)
        if outcome is not TestOutcome.SURVIVED:
            raise SystemExit(f"{tests}: fails without any mutant\n{output}")
    unnoticed = 0
    for module, text, change, tests in BY_HAND:
        whole = Path(module).read_text(encoding="utf-8")
        if whole.count(text) != 1:
            raise SystemExit(f"{module}: {text!r} is there {whole.count(text)} times; this list names it")
        Path(module).write_text(whole.replace(text, change), encoding="utf-8")
        survived = run_tests(command(tests), SECONDS)[0] is TestOutcome.SURVIVED
        Path(module).write_text(whole, encoding="utf-8")
        unnoticed += survived
        print(f"{'SURVIVED' if survived else 'noticed '}  {module}: {text} -> {change}", flush=True)
    every = [mutation for module in TESTS for mutation in mutants(module)]
    sample = random.Random(seed).sample(every, min(count, len(every)))
    tried, noticed = Counter[str](), Counter[str]()
    for mutation in sample:
        module = str(mutation.module_path)
        result = mutate_and_test([mutation], command(TESTS[module]), SECONDS)
        tried[module] += 1
        noticed[module] += result.is_killed
        if not result.is_killed:
            print(f"survived  {module}:{mutation.start_pos[0]} {mutation.operator_name}\n{result.diff}", flush=True)
    for module in sorted(tried):
        print(f"{module}: {noticed[module]} of {tried[module]} noticed")
    print(f"{noticed.total()} of {tried.total()} noticed ({len(every):,} mutants there are; seed {seed})")
    shutil.rmtree(copy.parent)
    return unnoticed


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
