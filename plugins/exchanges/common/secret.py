"""A text that nobody is shown (P6)."""

from typing import NoReturn

WITHHELD = "<secret>"


class Secret:
    """A text that shows as `<secret>` wherever it is printed, and can be neither copied nor stored."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text, for the one call that needs it."""
        return self._text

    def __repr__(self) -> str:
        return WITHHELD

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")
