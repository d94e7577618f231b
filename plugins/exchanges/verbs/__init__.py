"""The verbs that ask any exchange: what an account can do, and what its limits have counted."""
