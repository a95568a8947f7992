"""Where it runs.

* `functions` what the triggers of the function app call · `scheduler` ticks and visits on one machine · `serve` both, with HTTP
"""
