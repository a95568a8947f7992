"""Integration client for BeyondTrust Remote Support: design.md and README.md tell its story."""
