"""Rows to Optuna: a mirror of the Parquet rows that can be deleted at any time, and the dashboard on it."""

from harness.dashboard.mirror import Mirror
from harness.dashboard.serving import serve

__all__ = ["Mirror", "serve"]
