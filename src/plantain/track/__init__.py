"""What is remembered: ledger, lineage, search, MLflow and the audit."""
