"""Amounts of bytes as people write them: `10M`, `1.5 GiB`, `750000`. Units are powers of 1024, as in format_size."""

from __future__ import annotations

import re
from typing import Any

import click

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?(?:/s)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_amount(text: str) -> int:
    """The bytes; ValueError when it is no amount, or none at all."""
    found = _AMOUNT.fullmatch(text.strip())
    size = int(float(found.group(1)) * 1024 ** _POWERS[found.group(2).lower()]) if found else 0
    if size < 1:
        raise ValueError(f"{text!r} is no amount of bytes like 10M, 1.5G or 750000.")
    return size


class Amount(click.ParamType[int]):
    """An option that takes an amount."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The bytes; a usage error when it is none."""
        if isinstance(value, int):
            return value
        try:
            return parse_amount(value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


AMOUNT = Amount()
