"""What is looked at: units, token sets, measures and sides as views on activations."""
