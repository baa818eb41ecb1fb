"""Results folders of pretended trials: real rows, files and pictures, numbers by formula, no training."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import factory
import numpy as np
from PIL import Image

from harness.results.schema import TrialRows
from harness.results.store import Store
from harness.study.design import arms, trials
from harness.study.study import Study

SIZE, SHOWN = 32, 12
FIDS = {"baseline": 60.0, "spectral_norm=convs": 48.0, "spectral_norm=convs+heads": 60.6, "position=input": 75.0}


def study(**changes: Any) -> Study:
    """Return a study of three levels of spectral normalisation."""
    data: dict[str, Any] = {
        "study": "pretended",
        "question": "Does spectral normalisation help?",
        "axes": {"discriminator.spectral_norm": ["none", "convs", "convs+heads"]},
        "design": {"blocks": 4},
        "measure": {"margin": "10%", "also": ["ssim"]},
        "training": {"steps": 300},
        **changes,
    }
    return Study.model_validate(data)


def strip(seed: int, channels: int = 1) -> bytes:
    """Return a PNG strip of pictures side by side, as trials leave it."""
    draw = np.random.default_rng(seed)
    small = draw.integers(0, 256, (SIZE // 4, SIZE * SHOWN // 4, channels), dtype=np.uint8)
    pixels = small.repeat(4, 0).repeat(4, 1)
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze(-1) if channels == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def fill(
    folder: Path,
    asked: Study,
    *,
    blocks: int | None = None,
    statuses: Mapping[tuple[str, int], str] | None = None,
    pictures: bool = True,
    fids: Mapping[str, float] = FIDS,
) -> Store:
    """Freeze a study and write a row for each of its trials that has none.

    Args:
        folder: Folder of the results of this study.
        asked: The study.
        blocks: How many blocks are done; all unless given.
        statuses: Of (arm, block), where it is not complete.
        pictures: Whether the trials leave their strips.
        fids: Mean of the primary metric by arm; 60 where it is not named.
    """
    store = Store(folder)
    store.freeze(asked, {})
    study_hash, done = asked.hash, store.done()
    for trial in trials(arms(asked), range(asked.design.most_blocks if blocks is None else blocks)):
        if trial.trial_id in done:
            continue
        status = (statuses or {}).get((trial.arm.name, trial.block), "complete")
        measured = status in ("complete", "collapsed")
        # Controls without a mean of their own repeat the baseline; others differ by a factor, and a little by block.
        arm = "baseline" if trial.arm.control and trial.arm.name not in fids else trial.arm.name
        block_effect = np.sin(trial.block + 1.0)
        own_noise = 0.01 * np.sin(7.0 * trial.block + len(arm)) if arm != "baseline" else 0.0
        level = np.log(fids.get(arm, 60.0)) + 0.1 * block_effect + own_noise
        finals = {
            metric: float(np.exp(level)) if metric.startswith("fid") else float(0.8 - 0.1 * level / (i + 4))
            for i, metric in enumerate(asked.measure.measured)
        }
        steps = asked.measure.steps(asked.training.steps)
        own = {
            "study": asked.study,
            "study_hash": study_hash,
            "trial_id": trial.trial_id,
            "arm": trial.arm.name,
            "block": trial.block,
            "steps": asked.training.steps,
            "seconds_per_step": 0.034 + 0.001 * len(arm),
        }
        if status != "complete":
            own |= {"status": status, "error": "losses nan and <b>1|2</b> at step 120", "failed_at_step": 120}
        row = factory.row(own, trial.arm.levels, finals if measured else {})
        measurements = tuple(
            {
                "trial_id": trial.trial_id,
                "step": step,
                "metric": metric,
                "value": finals[metric] * (steps[-1] / step) ** (0.3 if metric.startswith("fid") else -0.3)
                if measured
                else None,
                "n_real": 512,
                "n_fake": 512,
                "floor": 5.5 if metric.startswith("fid") else None,
                "evaluation_sd": 0.7,
            }
            for step in steps
            for metric in asked.measure.measured
        )
        drawn = {"source": strip(1), "target": strip(2), "generated": strip(trial.block + 3)} if pictures else {}
        rows = TrialRows(row, measurements, ({"step": 1, "loss_d": 0.5},), drawn)
        store.write(rows, axes=list(asked.axes), metrics=asked.measure.measured)
    return store
