"""Two examples for each command, at the end of its help; a test runs each of them."""

from __future__ import annotations

LSID = "7c1f0e2ad94b4c0f9b6a3d5581e2c4f7"
EXTERNAL_KEY = "INC0012345"
ID = "5d41402abc4b"

EXAMPLES: dict[str, tuple[str, str]] = {
    "demo": ("bic demo", "bic demo --directory try --sessions 50"),
    "check": ("bic check", "bic check support"),
    "run": ("bic run --once", "bic run --now hourly"),
    "download": (
        "bic download --site support --destination archive --data sessions --start 2026-08-01 --duration 1d --dry-run",
        f"bic download --site support --destination archive --data session_recordings --lsid {LSID}",
    ),
    "backfill": (
        "bic backfill --site support --since 2026-08-01",
        "bic backfill --site support --since 2026-08-01 --until 2026-08-02",
    ),
    "import": ("bic import --destination archive old-sessions", "bic import --destination archive --adopt"),
    "session": (f"bic session {LSID}", f"bic session --key {EXTERNAL_KEY} --json"),
    "verify": ("bic verify", "bic verify --destination archive --repair"),
    "seal": ("bic seal init", "bic seal verify --self-consistent archive"),
    "health": ("bic health", "bic health --json"),
    "status": ("bic status", "bic status support --problems"),
    "runs": ("bic runs", "bic runs --limit 5"),
    "failures": ("bic failures", "bic failures --each --json"),
    "retry": ("bic retry --all", f"bic retry {ID}"),
    "acknowledge": (f"bic acknowledge {ID} --yes", "bic acknowledge --site support --data session_recordings --yes"),
    "purge": ("bic purge --older-than 365d --dry-run", f"bic purge --lsid {LSID} --yes"),
    "hold": (f'bic hold {LSID} --reason "case 4711"', f"bic hold {LSID} --release"),
    "notify-test": ("bic notify-test", "bic notify-test --json"),
    "logs": ("bic logs", "bic logs --transfers --since 2h"),
    "settings": ("bic settings show", "bic settings schema"),
    "ledger": ("bic ledger export tuesday.gz", "bic ledger import monday.gz --settings restored.toml"),
    "schema": ("bic schema --sql", "bic schema --sql --dialect sqlite"),
    "serve": ("bic serve", "bic serve --port 8081"),
    "simulate": ("bic simulate", "bic simulate --port 8443 --sessions 500"),
}
"""By the command's name; they suit settings with a site `support`, a destination `archive` and a schedule `hourly`."""
