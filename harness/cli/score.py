"""`score`: metrics between two folders of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Json
from harness.cli.output import console_of, print_json


def score(
    real: Annotated[Path, typer.Argument(metavar="REAL", help="A folder of images, or a .npy/.npz array of features.")],
    fake: Annotated[Path, typer.Argument(metavar="FAKE", help="The same, of generated images.")],
    metrics: Annotated[str | None, typer.Option(help="Metrics by name: fid_efficientnet,ssim.")] = None,
    size: Annotated[
        int | None, typer.Option(min=4, help="Resize images of different sizes to this many pixels.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of random subsets.")] = 0,
    as_json: Json = False,
) -> None:
    """FID, KID, SSIM and others between two folders of images, or two arrays of features."""
    from harness.metrics.score import render_score
    from harness.metrics.score import score as score_folders

    names = None if metrics is None else [name.strip() for name in metrics.split(",")]
    document = score_folders(real, fake, metrics=names, size=size, seed=seed)
    console_of(as_json=as_json).print(render_score(document), markup=False, highlight=False)
    if as_json:
        print_json("score", document)
