"""The appliance's side: the only HTTP to appliances, reports as data, and their bytes → session documents.

* `client` an appliance as the core knows it · `transport` one call, over `https`, at a `least_rate`
* `calls` a call as a value, and what its failure means · `unanswered` why no answer came, by whom
* `tokens` one bearer token an account · `token_answers` what its endpoint says
* `rate_limit` how fast a lane may ask
* `answers` what came instead of data · `texts` what error texts mean, as data · `learning` what an unknown one means
* `body_end` whether the reader knows where a body ends · `content_encoding` undone, to its own end
* `reports` report kinds and their parameters · `report_splitter` a report into records
* `record_bounds` what one may hold · `large_records` how many large ones at a time
* `session_documents` records → documents · `stored_text` stored XML in any Unicode encoding
* `safe_xml` XML read without trust · `commands`, `preflight` the credential test
"""
