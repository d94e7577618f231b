"""What the embedded exchange is announced as, and whose clock it can go by."""

SIMULATED = "simulated exchange: simulated markets, simulated money, this machine only"
WALL, FEED = "wall", "feed"
