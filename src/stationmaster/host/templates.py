"""Text from the templates that a package ships. Templates print; every choice and order is made by the caller."""

from __future__ import annotations

import functools
from typing import Any

import jinja2


@functools.cache
def _environment(package: str) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package, "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - configuration files, not HTML; values are validated where specs are made
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(package: str, name: str, **values: Any) -> str:
    """The text of ``package``'s template ``name``; a value that the template wants and does not get is an error."""
    return _environment(package).get_template(name).render(**values)
