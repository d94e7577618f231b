"""The Polymarket adapter: its wire, streams, REST calls, signing and executor."""
