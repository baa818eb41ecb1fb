"""The command line: commands, printing, exit codes; nothing else prints."""

from harness.cli.app import app, main
from harness.cli.ending import DEFECT, DONE, NOT_ALL_COMPLETE, WRONG_INPUT

__all__ = ["DEFECT", "DONE", "NOT_ALL_COMPLETE", "WRONG_INPUT", "app", "main"]
