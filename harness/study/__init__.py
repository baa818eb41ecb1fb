"""The study: one question, one YAML file, read, checked, and turned into arms and blocks."""
