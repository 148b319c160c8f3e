"""What answers: sources of weights, the embedded model and unit geometry."""
