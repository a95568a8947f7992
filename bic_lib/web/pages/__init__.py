"""What people see (docs/design.md 15): one module a kind of page, templates beside them in `templates/`.

* `asked` one request for a page, by somebody who was let in · `places` which page is where · `words` how values are written
* `login` · `home` · `listing` filter, search, order and pages of a list · `lists` sites, destinations, schedules, runs, failures
* `ones` a page for each of them · `troubles` with their buttons · `sessions` one session · `files` taking and playing files
* `doing` what buttons do · `tester` the test download · `showing` settings and logs
"""
