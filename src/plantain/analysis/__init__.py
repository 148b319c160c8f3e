"""What one cell says: the statistics of every contrast by every analysis."""
