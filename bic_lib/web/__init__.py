"""The HTTP routes and the dashboard: one definition for the function app and for `bic serve`."""
