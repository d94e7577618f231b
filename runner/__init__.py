"""The desk, the hooks it calls and the shell around it."""
