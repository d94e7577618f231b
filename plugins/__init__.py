"""Built-in components and exchange adapters."""
