"""The HTTP routes and the dashboard: one definition for the function app and for `bic serve`.

* `application` the Flask app · `routes` which function answers what · `http` requests and answers · `reading` what bodies say
* `upload` session XML · `guard` who may call `bic serve` · `dashboard`, `chart`, `html`, `pages/` what people see
"""
