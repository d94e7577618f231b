"""Built-in components of the group risk."""
