"""Built-in components of the group pricing."""
