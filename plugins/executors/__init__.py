"""Built-in components of the group executors."""
