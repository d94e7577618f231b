"""Where an exchange is: addresses that people set."""

from collections.abc import Sequence
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1", "memory")
WEB, SOCKET = ("https", "http"), ("wss", "ws")


def host_of(url: str) -> str:
    """Return the host of an address."""
    return urlsplit(url).hostname or ""


def check_address(name: str, url: str, schemes: Sequence[str]) -> None:
    """Refuse an address that is none, or that a secret would be sent to unencrypted; raises ValueError."""
    place = urlsplit(url)
    if place.scheme not in schemes or not place.hostname:
        raise ValueError(f"{name} must be an address such as {schemes[0]}://host")
    if place.scheme in ("http", "ws") and place.hostname not in LOOPBACK:
        raise ValueError(f"{name} must be {schemes[0]}://…: without encryption only on this machine")
