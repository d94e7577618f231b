"""Built-in components of the group refill."""
