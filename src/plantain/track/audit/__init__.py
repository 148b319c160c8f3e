"""Every number back to its prompts, link by link."""
