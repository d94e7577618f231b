"""The embedded exchange as SatoriEx speaks: orders are taken first and matched later (V6); all of it is simulated."""
