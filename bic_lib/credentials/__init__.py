"""Who we are and what we know: secrets, and how Azure is entered.

* `references` `env:NAME` and `keyvault:…` → values · `key_vault` the vault they lie in · `vault_keys` keys that never leave it
* `identity` tokens for a managed identity, an app registration or a developer's login
* `renewing` a destination that refuses its credentials is tried again with what they are now
"""
