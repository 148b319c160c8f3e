"""What a head does: its output swapped between wordings, what that changes, and the tests of it."""
