"""One call to an exchange: what it counts as, and what is kept of it (O9)."""

import msgspec

from pmrun.runner.units import Micros, Word


class Kind(Word):
    """What a call is counted as."""

    PLACE = "PLACE"
    TAKE = "TAKE"  # an order that is not post-only
    CANCEL = "CANCEL"
    READ = "READ"


class Exchanged(msgspec.Struct, frozen=True, kw_only=True):
    """One call and its answer, as they were on the wire, secrets removed."""

    at: Micros
    took: Micros
    kind: Kind
    method: str
    url: str  # without the query
    query: tuple[tuple[str, str], ...]
    address: str | None  # of the key that signed; no other header is kept
    request: str
    status: int | None  # None when no answer came
    answer: str
    why: str = ""  # no answer came
