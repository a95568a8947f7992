"""Integration client for BeyondTrust Remote Support: docs/design.md and README.md tell its story."""
