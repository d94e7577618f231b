"""Built-in components of the group requote."""
