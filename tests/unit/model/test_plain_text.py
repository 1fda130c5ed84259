from __future__ import annotations

from stationmaster.model import plain_text


def test_control_characters_go_and_text_stays() -> None:
    assert plain_text.without_control("a\x00\x1b[31mb\x9b1m\r\n\tü \\u0000 \u2028") == "a[31mb1m\n\tü \\u0000 \u2028"
