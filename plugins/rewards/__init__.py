"""What resting orders earn from liquidity rewards: the exchange's score, and an estimate of the income."""
