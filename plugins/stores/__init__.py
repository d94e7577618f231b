"""Built-in components of the group stores."""
