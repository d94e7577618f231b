"""Why pmrun cannot go on: a message names the thing, the value and what is allowed."""


class PmrunError(Exception):
    """Something that a person has to look at; its text is one line."""

    exit_code = 1


class ConfigError(PmrunError):
    """This configuration cannot become a desk."""

    exit_code = 2

    def __init__(self, key: str, value: object = None, reason: str = "") -> None:
        """Name the key's full path, the value that was given (None: none) and what is allowed."""
        self.key = key
        self.value = value
        self.reason = reason
        shown = key if value is None else f"{key}={value}"
        super().__init__(f"{shown}: {reason}" if reason else shown)


class DataError(PmrunError):
    """A file that cannot be what it says it is: a tape, a journal, a run directory."""


class NoRun(DataError):
    """A path that was given for a run directory and is none: a mistake on the command line, not damage."""

    exit_code = 2


class VerificationFailed(PmrunError):
    """A replay did not give what was recorded."""


class ExchangeError(PmrunError):
    """The exchange, or the road to it."""

    exit_code = 3


class ProtocolViolation(ExchangeError):
    """It said something that its protocol does not allow."""
