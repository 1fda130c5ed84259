"""What a daemon says while it runs: JSON lines for machines, short lines for a person at a terminal. Standard error."""

from __future__ import annotations

import datetime
import logging
import sys

import msgspec

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def set_up(*, is_for_person: bool | None = None, level: int = logging.INFO) -> None:
    """Send the log of this process to standard error; the form follows from whether that is a terminal."""
    person = sys.stderr.isatty() if is_for_person is None else is_for_person
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(_PersonFormatter() if person else _JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(level)
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """What was given as ``extra``: names of our own beside the message."""
    return {name: value for name, value in vars(record).items() if name not in _OWN}


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds")
        entry: dict[str, object] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry, enc_hook=str).decode()


class _PersonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC).astimezone().strftime("%H:%M:%S")
        extra = " ".join(f"{name}={value}" for name, value in fields_of(record).items())
        level = "" if record.levelno == logging.INFO else record.levelname.lower() + ": "
        text = f"{time} {level}{record.getMessage()}" + (f"  ({extra})" if extra else "")
        return text + ("\n" + self.formatException(record.exc_info) if record.exc_info else "")
