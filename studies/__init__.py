"""Long computations whose tables are kept in the documentation. Not part of the package."""
