"""The questions of docs/sql.md, written for Grafana, Power BI and Datasette: `python -m contrib.questions` (in `make docs`).

One list of queries for all: whoever changes the page writes the dashboards anew, and tests ask each of them what it asks.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs/sql.md"
_QUESTION = re.compile(r"\*\*\d+\. (.+?)\*\*\n\n```sql\n(.+?);\n```", re.DOTALL)


class Question(NamedTuple):
    """What is asked, the query, and the columns of its answer."""

    title: str
    query: str

    @property
    def columns(self) -> list[str]:
        """The names after SELECT: each expression ends with its name."""
        chosen = re.split(r"\nFROM ", self.query.removeprefix("SELECT ").removeprefix("DISTINCT "), maxsplit=1)[0]
        outside = re.sub(r"\([^()]*\)", "", chosen)
        return [re.split(r"[\s.]", part.strip())[-1] for part in outside.split(",")]


def questions() -> list[Question]:
    return [Question(*found) for found in _QUESTION.findall(PAGE.read_text("utf-8"))]


def files() -> Iterator[tuple[str, str]]:
    """Each file below contrib/, and its content."""
    asked = questions()
    yield "grafana/bic.json", _json(_grafana(asked))
    yield "datasette/metadata.json", _json(_datasette(asked))
    yield from ((f"power-bi/{name}", content) for name, content in _power_bi(asked))


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


# --- Grafana ---------------------------------------------------------------------------------------------------------

_SOURCE = {"type": "mssql", "uid": "${source}"}
_WIDE, _HIGH = 12, 9
"""Half of Grafana's 24 columns, and room for a few rows of a table."""


def _grafana(asked: list[Question]) -> dict[str, Any]:
    """A dashboard for the SQL Server data source; that for SQLite (frser-sqlite-datasource) reads `queryText` instead."""
    return {
        "title": "Support sessions",
        "uid": "bic-sessions",
        "editable": True,
        "schemaVersion": 39,
        "refresh": "",
        "time": {"from": "now-90d", "to": "now"},
        "templating": {"list": [{"name": "source", "label": "Database", "type": "datasource", "query": "mssql"}]},
        "panels": [_panel(number, question) for number, question in enumerate(asked)],
    }


def _panel(number: int, question: Question) -> dict[str, Any]:
    target = {"refId": "A", "datasource": _SOURCE, "format": "table", "rawQuery": True, "editorMode": "code"}
    return {
        "id": number + 1,
        "type": "table",
        "title": question.title,
        "datasource": _SOURCE,
        "gridPos": {"x": number % 2 * _WIDE, "y": number // 2 * _HIGH, "w": _WIDE, "h": _HIGH},
        "targets": [{**target, "rawSql": question.query, "queryText": question.query}],
    }


# --- Datasette -------------------------------------------------------------------------------------------------------


def _datasette(asked: list[Question]) -> dict[str, Any]:
    """For a database file named `sessions.sqlite`."""
    queries = {_slug(question.title): {"title": question.title, "sql": question.query} for question in asked}
    return {
        "title": "Support sessions",
        "description": "Rows that bic loaded; their meaning: docs/data-dictionary.md",
        "databases": {"sessions": {"queries": queries}},
    }


def _slug(title: str) -> str:
    return "-".join(re.findall(r"[a-z]+", title.lower().replace("'", "")))


# --- Power BI --------------------------------------------------------------------------------------------------------


def _power_bi(asked: list[Question]) -> Iterator[tuple[str, str]]:
    """A project in text form: a semantic model with a table a question, and a report with a page a question."""
    yield "bic.pbip", _json({"version": "1.0", "artifacts": [{"report": {"path": "bic.Report"}}], "settings": {}})
    yield "bic.SemanticModel/definition.pbism", _json({"version": "4.0", "settings": {}})
    yield "bic.SemanticModel/definition/database.tmdl", "database\n\tcompatibilityLevel: 1567\n"
    tables = "".join(f"ref table '{_quoted(question.title)}'\n" for question in asked)
    model = "model Model\n\tculture: en-US\n\tdefaultPowerBIDataSourceVersion: powerBI_V3\n\n"
    yield "bic.SemanticModel/definition/model.tmdl", model + tables
    yield "bic.SemanticModel/definition/expressions.tmdl", "\n".join(map(_parameter, ("Server", "Database")))
    for question in asked:
        yield f"bic.SemanticModel/definition/tables/{_slug(question.title)}.tmdl", _table(question)
    reference = {"version": "4.0", "datasetReference": {"byPath": {"path": "../bic.SemanticModel"}}}
    yield "bic.Report/definition.pbir", _json(reference)
    yield "bic.Report/report.json", _json({"config": json.dumps({"version": "5.55"}), "sections": _pages(asked)})


def _quoted(name: str) -> str:
    return name.replace("'", "''")


def _parameter(name: str) -> str:
    meta = 'meta [IsParameterQuery=true, Type="Text", IsParameterQueryRequired=true]'
    return f'expression {name} = "put yours here" {meta}\n'


NUMBERS = {
    **dict.fromkeys(("sessions", "files", "machines", "answers", "bytes", "file_size", "files_moved", "recordings"), "int64"),
    **dict.fromkeys(("hours", "minutes", "megabytes", "rating"), "double"),
}
"""The columns that are numbers, with their types; times are told by their names, all else is text."""


def _column(name: str) -> str:
    kind = "dateTime" if re.search("_(time|at|start)$", name) else NUMBERS.get(name, "string")
    return f"\tcolumn {name}\n\t\tdataType: {kind}\n\t\tsummarizeBy: none\n\t\tsourceColumn: {name}\n\n"


def _table(question: Question) -> str:
    columns = "".join(map(_column, question.columns))
    text = question.query.replace('"', '""').replace("\n", "#(lf)")
    source = f'Sql.Database(Server, Database, [Query = "{text}"])'
    steps = f"\t\t\tlet\n\t\t\t\tSource = {source}\n\t\t\tin\n\t\t\t\tSource\n"
    return f"table '{_quoted(question.title)}'\n\n{columns}\tpartition query = m\n\t\tmode: import\n\t\tsource =\n{steps}"


def _pages(asked: list[Question]) -> list[dict[str, Any]]:
    """A table on a page of its own for each question; names are made of the titles, so that the same page gives the same file."""
    return [
        {
            "name": uuid.uuid5(uuid.NAMESPACE_URL, question.title).hex[:20],
            "displayName": question.title[:50],
            "ordinal": number,
            "width": 1280,
            "height": 720,
            "visualContainers": [
                {"x": 20, "y": 20, "z": 0, "width": 1240, "height": 680, "config": json.dumps(_visual(question))}
            ],
        }
        for number, question in enumerate(asked)
    ]


def _visual(question: Question) -> dict[str, Any]:
    fields = [f"{question.title}.{column}" for column in question.columns]
    chosen = [
        {"Column": {"Expression": {"SourceRef": {"Source": "t"}}, "Property": column}, "Name": field}
        for column, field in zip(question.columns, fields, strict=True)
    ]
    return {
        "name": uuid.uuid5(uuid.NAMESPACE_DNS, question.title).hex[:20],
        "singleVisual": {
            "visualType": "tableEx",
            "projections": {"Values": [{"queryRef": field} for field in fields]},
            "prototypeQuery": {
                "Version": 2,
                "From": [{"Name": "t", "Entity": question.title, "Type": 0}],
                "Select": chosen,
            },
        },
    }


def main() -> None:
    for name, content in files():
        file = HERE / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, "utf-8")


if __name__ == "__main__":
    main()
