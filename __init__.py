"""pmrun runs market-making strategies on prediction markets."""

__version__ = "0.1.0"
