"""What is remembered: receipts, journal, ledger, lineage, MLflow and the audit."""
