"""Anybody's table: what tools export is read, asked about where it is ambiguous, and judged as a study's trials are."""

from harness.tables.compare import compare

__all__ = ["compare"]
