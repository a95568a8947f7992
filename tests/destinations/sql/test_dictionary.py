"""The data dictionary: made of the definitions, whole, and true of a document."""

from __future__ import annotations

import re

import pytest
from lxml import etree
from sqlalchemy import Column, Unicode

from bic_lib.contracts.documents import FULL
from bic_lib.destinations.sql import dictionary
from bic_lib.destinations.sql.dictionary import MEANINGS, TABLES, meaning_of
from bic_lib.destinations.sql.tables import metadata
from tests.destinations.sql.test_views import SURVEYED
from tests.support import ROOT

COLUMNS = [column for table in metadata.tables.values() for column in table.columns]


def test_the_page_is_written_by_the_code() -> None:
    """docs/data-dictionary.md is what `make docs` writes."""
    assert (ROOT / "docs/data-dictionary.md").read_text("utf-8") == dictionary.document()


def test_nothing_is_described_that_is_not_there() -> None:
    """Each table is described, and each description has its column."""
    assert set(TABLES) == set(MEANINGS) == set(metadata.tables)
    for table, meanings in MEANINGS.items():
        assert set(meanings) <= set(metadata.tables[table].columns.keys())


@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_each_column_has_a_meaning_and_an_example(column: Column[object]) -> None:
    """The example is of the column's type, and fits into it."""
    meaning, example = meaning_of(column)
    assert meaning
    assert example or meaning.startswith("NULL")
    if isinstance(column.type, Unicode):
        assert len(example) <= (column.type.length or len(example))
    elif column.name.endswith(("_time", "_at")):
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", example)
    else:
        assert int(example) >= 0


def test_each_column_of_the_document_has_a_place_that_is_there() -> None:
    """What the page names as a column's place is in a document: one at least of each column's."""
    documents = [etree.fromstring(text) for text in (FULL, SURVEYED)]
    rows = re.findall(r"^\| `(\w+)` \| .*? \| .*? \| (.*?) \| .*? \|$", dictionary.document(), re.MULTILINE)
    placed = [(column, re.findall(r"session/[\w/@]*\w", places)) for column, places in rows if "session/" in places]
    assert len(placed) > 45
    for column, places in placed:
        paths = ["/" + place for place in places]
        assert any(document.xpath(path) for document in documents for path in paths), (column, paths)
