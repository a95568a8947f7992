"""What a ledger can be kept in: one module a kind, imported only when it is configured."""
