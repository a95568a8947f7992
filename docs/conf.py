"""How Sphinx makes the site of these pages: `make site`. A link that leads nowhere ends it, and so does a page that is in no list."""

project = "bic"
author = "the bic maintainers"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["plug-in-example"]
root_doc = "index"
html_theme = "furo"
html_title = "bic"
html_show_sphinx = False
html_copy_source = False
myst_heading_anchors = 4
suppress_warnings = [
    "myst.header",
    "misc.highlighting_failure",
]  # numbered facts are headings of their own; mermaid is read elsewhere
