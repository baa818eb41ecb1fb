"""Which settings two arms differ in, and which of them anything ever reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from harness.study.fields import Settings
from harness.study.settings import TrialSettings


class ReadRecorder:
    """Settings that note the dotted path of each value that is read from them."""

    def __init__(self, settings: Settings, read: set[str], path: str = "") -> None:
        self._settings, self._read, self._path = settings, read, path

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """Pass for the settings' own type, on which networks are chosen."""
        return type(self._settings)

    def __getattr__(self, name: str) -> Any:
        derived = getattr(type(self._settings), name, None)
        if isinstance(derived, property) and derived.fget is not None:
            return derived.fget(self)
        value = getattr(self._settings, name)
        path = f"{self._path}{name}"
        if isinstance(value, Settings):
            return ReadRecorder(value, self._read, f"{path}.")
        self._read.add(path)
        return value


def watched(settings: TrialSettings, read: set[str]) -> TrialSettings:
    """Return settings that behave alike and add to `read` every dotted setting that is looked at."""
    return cast("TrialSettings", ReadRecorder(settings, read))


def changed_settings(arm: TrialSettings, baseline: TrialSettings) -> frozenset[str]:
    """Return the dotted settings in which two arms differ."""
    a, b = dict(_leaves(arm.model_dump(), "")), dict(_leaves(baseline.model_dump(), ""))
    return frozenset(path for path in {**a, **b} if path not in a or path not in b or a[path] != b[path])


def own_parts(settings: TrialSettings) -> frozenset[str]:
    """Return the groups of settings, such as `generator`, whose kind is a user's own `package.module:function`."""
    groups = ((name, getattr(settings, name)) for name in type(settings).model_fields)
    return frozenset(name for name, group in groups if ":" in str(getattr(group, "kind", "")))


def trained_by_own_code(settings: TrialSettings) -> bool:
    """Return whether a network or the loop is a user's own, which may do and raise anything."""
    return bool(own_parts(settings) & {"generator", "discriminator", "training"})


def _leaves(data: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping) and key != "options":
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
