"""Places to deliver to: one module a kind, imported only when it is configured."""
