"""What may be claimed: evidence, rungs, verdict."""
