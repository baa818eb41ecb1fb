"""What a study found, as a page, Markdown, tables for a paper, and JSON; shows verdicts and computes none."""
