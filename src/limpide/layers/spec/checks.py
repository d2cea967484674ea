"""What every part of a description is checked by when it is made."""

from __future__ import annotations

from collections.abc import Collection

from limpide.core.errors import UnsupportedConfig


def require(condition: bool, switch: str, value: object, expected: str) -> None:
    """Refuse a switch's value by name. Raises UnsupportedConfig unless `condition` holds."""
    if not condition:
        raise UnsupportedConfig(f"{switch} = {value!r} can't be computed", expected=expected)


def positive(name: str, spec: object, *fields: str) -> None:
    """Require numbers above zero in these fields of a part called `name`."""
    for field_name in fields:
        value = getattr(spec, field_name)
        require(value > 0, f"{name}.{field_name}", value, "a number above zero")


def one_of(switch: str, value: str, allowed: Collection[str]) -> None:
    """Require one of these words."""
    require(value in allowed, switch, value, " or ".join(allowed))
