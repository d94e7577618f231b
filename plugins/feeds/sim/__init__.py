"""Simulated markets: seeded, drawn from statistics of recorded ones, and labelled simulated wherever they show."""
