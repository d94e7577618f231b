"""An exchange that is away is told of when it goes, once a minute, and when it is back."""

from pmrun.plugins.exchanges.common.trouble import Trouble
from pmrun.runner.units import SECOND, Micros


class Lines:
    def __init__(self) -> None:
        self.said: list[str] = []

    def warning(self, text: str, *values: object) -> None:
        self.said.append(text.format(*values))

    info = warning


def test_a_trouble_at_every_try_is_said_when_it_begins_once_a_minute_and_when_it_ends() -> None:
    lines, at = Lines(), 0
    trouble = Trouble(lines, "a book cannot be read", lambda: Micros(at * SECOND))
    for at in range(150):  # noqa: B007 (the clock)
        trouble.met("connection refused")
    at = 150
    trouble.over()
    trouble.over()
    assert lines.said == [
        "a book cannot be read: connection refused",
        "a book cannot be read, for 60 s now, 61 times: connection refused",
        "a book cannot be read, for 120 s now, 121 times: connection refused",
        "over: a book cannot be read, after 150 s, 150 times",
    ]
    trouble.met("again")
    assert lines.said[-1] == "a book cannot be read: again"


def test_what_went_wrong_once_needs_no_word_that_it_is_over() -> None:
    lines = Lines()
    trouble = Trouble(lines, "heartbeat", lambda: Micros(0))
    trouble.met("no answer")
    trouble.over()
    assert lines.said == ["heartbeat: no answer"]
