"""An exchange on loopback: the real protocols, simulated money."""
