"""Where it runs.

* `functions` what the triggers of the function app call · `current` settings and app in use
* `bridge` HTTP triggers to WSGI and back
* `scheduler` ticks and visits on one machine · `serve` both, with HTTP · `page_key` who may ask
* `second_tick` ticks where the timer may stand still · `fitting` whether compiled packages fit this Python
"""
