from __future__ import annotations

from typing import Any

import pytest

from stationmaster.model import errors, plain_text, repo_options


def test_control_characters_go_and_text_stays() -> None:
    assert plain_text.without_control("a\x00\x1b[31mb\x9b1m\r\n\tü \\u0000 \u2028") == "a[31mb1m\n\tü \\u0000 \u2028"


@pytest.mark.parametrize("line", ["username=u4er", "password = c4nary"])
def test_options_take_no_secrets_and_do_not_repeat_them(line: Any) -> None:
    with pytest.raises(errors.CallerError) as caught:
        repo_options.require_rpm_options(f"module_hotfixes=1\n{line}")
    assert "c4nary" not in str(caught.value)
