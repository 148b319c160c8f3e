"""What a head does: its attention output swapped for that of another wording, and how much of the picture follows."""
