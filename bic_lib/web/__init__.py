"""The HTTP routes and the pages: one Flask app for the function app and for `bic serve`.

* `application` the app · `routes` what the JSON routes answer · `http` requests and answers · `reading` what JSON bodies say
* `upload` session XML · `guard` who may do what · `pages/` what people see, of `templates/`
"""
