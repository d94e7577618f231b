"""Built-in components of the group sizing."""
