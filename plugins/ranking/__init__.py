"""Rankings: how much a market is worth quoting."""
