"""Pictures of one result."""
