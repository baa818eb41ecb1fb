"""Names the draws of this Python process before the user's program begins, as its environment asks for."""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path

_HERE = Path(__file__).parent


def _name_draws() -> None:
    root = str(_HERE.parents[2])
    sys.path.insert(0, root)
    try:
        from harness.errors import HarnessError
        from harness.named_draws.activation import start_from_environment
    finally:
        sys.path.remove(root)
    try:
        start_from_environment()
    except HarnessError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)


def _run_own() -> None:
    """Run the `sitecustomize` that this one stands in front of."""
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", [path for path in sys.path if path != str(_HERE)])
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


_run_own()
_name_draws()
