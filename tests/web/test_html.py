"""HTML that is escaped by construction."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from bic_lib.core.escaping import escaped as in_one_line
from bic_lib.web.html import Html, escaped, fill, joined, tag

_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)


@given(_TEXT, _TEXT)
def test_any_text_stays_text(content: str, attribute: str) -> None:
    """Whatever is put into an element or an attribute comes out of a parser as it was, but for what could be obeyed."""
    element = html.fragment_fromstring(tag("p", "‹", content, "›", title=attribute))
    assert (element.text, element.get("title"), len(element)) == (f"‹{in_one_line(content)}›", in_one_line(attribute), 0)


def test_markup_stays_markup() -> None:
    """Elements nest; lists of them are joined; a template's values are escaped unless they are markup."""
    assert tag("ul", joined(tag("li", text) for text in ("a", "<"))) == "<ul><li>a</li><li>&lt;</li></ul>"
    assert fill("<p>$a $b</p>", {"a": "<", "b": Html("<b>x</b>")}) == "<p>&lt; <b>x</b></p>"
    assert escaped(None) == ""
    assert tag("td", 1, class_=None, data_label="x") == '<td data-label="x">1</td>'


def test_secrets_do_not_reach_a_page() -> None:
    """Text is masked on its way in."""
    assert "hunter2" not in tag("p", "Server=x;Password=hunter2")
