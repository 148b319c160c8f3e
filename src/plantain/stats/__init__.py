"""What the numbers say: paired statistics, sign flips, bounds and reliability."""
