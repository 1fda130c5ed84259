from __future__ import annotations

import logging

from stationmaster.hub import logs


def test_a_path_cannot_begin_a_line_of_its_own() -> None:
    record = logging.LogRecord("hub", logging.INFO, __file__, 1, "request", None, None)
    record.fields = {"path": '/x\n{"principal":"root"}\r\x1b[2J\x00', "principal": "p"}
    text = logs.JsonFormatter().format(record)
    assert text.isprintable()
    assert '"principal":"p"' in text
