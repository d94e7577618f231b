"""Built-in components of the group reports."""
