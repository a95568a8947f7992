"""What a ledger can be kept in: one module a kind, imported only when it is configured.

* `sqlite` one file, for one machine (the default) · `azure_table` Azure Tables, for any number of instances
* `table_transport` how requests to them travel · `table_keys` any text as a key there
* `limits` what every ledger takes in one commit · `holder` who holds a lease · `damage` rows that are not what was written
"""
