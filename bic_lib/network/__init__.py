"""Why no answer came, by whom, and what to do: the same words for whomever we ask (docs/troubleshooting.md).

* `unanswered` an exception of a connection → what is so and what to do
* `gateways` answers of what stands in between · `web_pages` which it likes to send
* `handshakes` what TLS says · `proxies` what stands in between · `causes` what a library wrapped into its exceptions
"""
