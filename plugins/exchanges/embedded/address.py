"""Where the embedded exchange may listen: on loopback, nowhere else."""

from ipaddress import ip_address

import msgspec

from pmrun.runner.errors import ConfigError


class Address(msgspec.Struct, frozen=True):
    """Where to listen; port 0 takes any that is free."""

    host: str
    port: int


def parse_bind(text: str) -> Address:
    """Read HOST:PORT; raises ConfigError for anything but loopback."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not _is_loopback(host):
        raise ConfigError("--bind", text, "must be on loopback, as 127.0.0.1:PORT is: this exchange is simulated")
    if not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ConfigError("--bind", text, "must end in a port from 0 (any that is free) to 65535")
    return Address(host, int(port))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
