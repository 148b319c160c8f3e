"""MLflow as a view of the receipts."""
