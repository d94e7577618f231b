"""What fills teach: how often a quote fills by its distance from the mid, market by market (P2)."""
