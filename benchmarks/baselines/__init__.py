"""What others would take instead of `bic` for a first pull: each fetches the same sessions into XML files and SQLite."""
