"""What adapters of different exchanges have in common."""
