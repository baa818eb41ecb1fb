"""Stored rows in, verdicts out."""
