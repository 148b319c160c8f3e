"""What is written down: the typed records that one room writes and another reads."""
