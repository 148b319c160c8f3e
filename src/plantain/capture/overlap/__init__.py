"""What is done while the device computes: reading, writing, making the next draw."""
