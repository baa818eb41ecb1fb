"""What every group of settings is made of: a frozen model that refuses unknown keys, and the types of its fields."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, Strict

Axis = str
Integer = Annotated[int, Strict()]
Real = Annotated[float, Strict()]
Text = Annotated[str, Strict()]
Flag = Annotated[bool, Strict()]
Count = Annotated[int, Strict(), Field(ge=1)]
Share = Annotated[float, Strict(), Field(ge=0.0, le=1.0)]

DOOR = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
"""The form of a user's own part, ``package.module:function``."""


class Settings(BaseModel):
    """A frozen group of settings; unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid", use_attribute_docstrings=True, frozen=True, protected_namespaces=(), allow_inf_nan=False
    )


def kind_tag(value: Any) -> str | None:
    """Return the tag of a group by its ``kind``; ``package.module:function`` is tagged ``custom``."""
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "custom" if isinstance(kind, str) and re.match(DOOR, kind) else kind
