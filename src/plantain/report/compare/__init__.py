"""Several results side by side on one page."""
