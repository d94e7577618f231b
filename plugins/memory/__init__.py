"""What components remember from one run to the next."""
