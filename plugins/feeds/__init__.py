"""Built-in components of the group feeds."""
