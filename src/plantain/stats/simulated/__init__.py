"""Data of known truth: what the tests find in them, and what is meant to fool them."""
