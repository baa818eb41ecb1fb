"""Trials that are commands of a user's own: their sources, how they are run, and what they leave behind."""
