"""One trial: settings and block in, rows out."""
