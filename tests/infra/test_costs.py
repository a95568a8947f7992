"""docs/infrastructure.md, "Costs": each price has a date and a source, and the bills are what their parts add up to."""

from __future__ import annotations

import re

import pytest

from tests.support import ROOT

PAGE = (ROOT / "docs/infrastructure.md").read_text("utf-8").partition("## Costs")[2]
LOADS = {"hourly": 1, "each 6 hours": 6, "once a day": 24}
"""Hours between two loads of the database."""
MONTH = 730
"""Hours."""


def _rows() -> dict[str, list[str]]:
    """The cells of each row of both tables, by the first one."""
    lines = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
    return {cells[0].replace("*", ""): cells[1:] for cells in lines}


ROWS = _rows()
PRICES = {name: cells for name, cells in ROWS.items() if len(cells) == 3 and name != "meter"}


def _amounts(row: str, customer: int) -> list[float]:
    """What is printed in bold: the results."""
    return [float(text.replace(",", "")) for text in re.findall(r"\*\*([\d.,]+)\*\*", ROWS[row][customer])]


def _others(customer: int, age: int) -> float:
    """All but the database's compute, in the first month (`age` 0) or after seven years (1)."""
    grows = {"archive, first month → after 7 years", "database, storage"}
    rows = ["functions", "blob writes", "ledger and queue", "alert rules", "vault", *grows]
    found = 0.0
    for row in rows:
        amounts = _amounts(row, customer) or _amounts(row, 0)  # "the same"
        found += sum(amounts) if row == "ledger and queue" else amounts[min(age, len(amounts) - 1) if row in grows else 0]
    return found


@pytest.mark.parametrize("meter", PRICES)
def test_each_price_has_a_date_and_a_source(meter: str) -> None:
    """A source is an address, or a number that stands below the table with one."""
    price, date, source = PRICES[meter]
    assert re.search(r"\d\.\d|\d", price)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", date)
    named = re.findall(r"\[(\d)\]", source)
    assert named or re.search(r"\w+\.\w+/", source)
    assert all(re.search(rf"^.*\[{number}\] ?(?:[\w-]+\.com/|COSTS\.md)", PAGE, re.MULTILINE) for number in named)


def test_a_database_that_sleeps_costs_what_it_is_awake() -> None:
    """A minute of a small customer's load is one of a day's; a large one's four minutes an hour are at the most vCores."""
    [price] = re.findall(r"^([\d.]+)", ROWS["Azure SQL, serverless, General Purpose"][0])
    small = [MONTH / hours * (1 + 15) / 60 * 0.5 * float(price) for hours in LOADS.values()]
    large = [MONTH / hours * (4 * hours * 2 + 15 * 0.5) / 60 * float(price) for hours in LOADS.values()]
    assert _amounts("database, compute", 0)[:3] == [round(amount, 2) for amount in small]
    assert _amounts("database, compute", 1) == [round(amount, 2) for amount in large]


def test_the_bills_are_the_sums_of_their_parts() -> None:
    """For each way to load, with a database and without, in the first month and after seven years."""
    small, large = _amounts("database, compute", 0)[:3], _amounts("database, compute", 1)
    without = _others(0, 0) - _amounts("database, storage", 0)[0]
    assert _amounts("together", 0) == [*(round(_others(0, 0) + compute) for compute in small), round(without)]
    assert _amounts("together", 1) == [round(_others(1, 0) + compute) for compute in large]
    later = [f"{round(_others(1, 1) + compute):,}" for compute in large]
    assert f"{later[0]}, {later[1]} and {later[2]} after 7 years" in ROWS["together"][1]


def test_functions_cost_their_gigabyte_seconds() -> None:
    """What is beyond the month's grant, at the price above."""
    [price, grant] = re.findall(
        r"^([\d.]+) a GB-second, the first ([\d,]+)", ROWS["Flex Consumption, execution time on demand"][0]
    )[0]
    for customer in (0, 1):
        seconds = sum(
            int(text.replace(",", ""))
            for row in ("ticks", "visits")
            for text in re.findall(r"= ([\d,]+) GB-s", _cell(row, customer))
        )
        assert _amounts("functions", customer)[0] == round((seconds - int(grant.replace(",", ""))) * float(price), 2)


def _cell(row: str, customer: int) -> str:
    return ROWS[row][0] if ROWS[row][customer] == "the same" else ROWS[row][customer]


def test_alert_rules_are_counted() -> None:
    """As many as infra/ has queries."""
    rules = len(list((ROOT / "infra/queries").glob("*.kql")))
    assert f"{rules} × 0.50 = **{rules * 0.5:.2f}**" in ROWS["alert rules"][0]
