"""The HTTP routes and the dashboard: one definition for the function app and for `bic serve`.

* `routes` which function answers what · `http` requests and responses as values · `reading` what bodies say
* `upload` session XML · `guard` who may call `bic serve` · `dashboard`, `chart`, `html`, `pages/` what people see
"""
