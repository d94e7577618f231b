"""What others say, made fit for our messages and files."""

from collections.abc import Iterable

from pmrun.plugins.exchanges.common.secret import WITHHELD, Secret


def one_line(text: str) -> str:
    """Make a sentence of somebody else's fit for a message."""
    return " ".join(text.split())[:200]


def as_text(raw: bytes) -> str:
    """Make a body readable; bytes that are no text are kept as their numbers."""
    return raw.decode("utf-8", "backslashreplace")


def without_secrets(raw: bytes, secrets: Iterable[Secret]) -> bytes:
    """Take out every secret that somebody sends back to us."""
    for secret in secrets:
        text = secret.reveal().removeprefix("0x").encode()
        if text and text in raw:
            raw = raw.replace(text, WITHHELD.encode())
    return raw
