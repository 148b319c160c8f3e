"""Which numbers a prompt entered, and which results report a number: answered from files that git holds."""
