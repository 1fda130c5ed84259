"""Logs of the hub: one JSON object a line, on standard error. Bodies, keys and signatures never reach them."""

from __future__ import annotations

import datetime
import logging
import sys
import traceback
from typing import Any

import msgspec

LOGGER = logging.getLogger("stationmaster.hub")


class JsonFormatter(logging.Formatter):
    """Time, level, message, and what the caller gave in ``extra={"fields": {...}}``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, Any] = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = "".join(traceback.format_exception(*record.exc_info))
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure(level: int = logging.INFO) -> None:
    """Send everything of this process through the formatter."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def write(message: str, *, level: int = logging.INFO, is_traced: bool = False, **fields: object) -> None:
    """One line. ``is_traced`` adds the exception that is being handled."""
    LOGGER.log(level, message, exc_info=is_traced, extra={"fields": fields})
