"""Built-in components of the group adjust."""
