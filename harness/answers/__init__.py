"""Statements that people made, and what stored studies, proofs and tests answer."""

from harness.answers.answers import Answer, Evidence, answers
from harness.answers.page import page
from harness.answers.statements import Statement, Statements, read_statements

__all__ = ["Answer", "Evidence", "Statement", "Statements", "answers", "page", "read_statements"]
