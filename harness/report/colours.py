"""The colours of figures: middle tones, which read on white and on black; the word is always there as well."""

from __future__ import annotations

COLOURS = {
    "helps": "#2e9e5b",
    "hurts": "#d6453d",
    "equivalent": "#3b82c4",
    "negligible": "#2a9d9d",
    "not sensitive": "#d98324",
    "inconclusive": "#8a8f98",
    "no-op": "#8a8f98",
    "invalid": "#8a8f98",
}
"""Of each verdict."""
LINES = ("#3b82c4", "#d98324", "#2e9e5b", "#a05fb4", "#d6453d", "#2a9d9d", "#b08968", "#c2548c", "#7a8b2f", "#5b6abf")
"""Of arms."""
