"""SatoriEx: acceptance before matching, orders by numeric id, one cancel at a time (V1-V5)."""
