"""Hedging: what brings holdings back."""
