"""Built-in components of the group filters."""
