"""What people see: figures, pages and run cards."""
