"""docs/infrastructure.md, "Costs": each price has a date and a source, and the bills are what their parts add up to.

They are reckoned with what infra/ makes by default, and with what is counted of the ledger.
"""

from __future__ import annotations

import re

import pytest

from tests.infra.deployment import documented
from tests.ledger.stores import test_operations as counted
from tests.support import ROOT

PAGE = (ROOT / "docs/infrastructure.md").read_text("utf-8").partition("## Costs")[2]
LOADS = {"hourly": 1, "each 6 hours": 6, "once a day": 24}
"""Hours between two loads of the database."""
MONTH = 730
"""Hours."""
SITES = (1, 50)
"""Of the small and of the large customer."""


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
    """A minute of a small customer's load is one of a day's; a large one's four minutes an hour are at the most vCores; then the
    minutes until it sleeps, at the least, as infra/ has them.
    """
    database = documented("defaults").one("Microsoft.Sql/servers/databases")
    least, most = database["properties"]["minCapacity"], database["sku"]["capacity"]
    asleep_after = database["properties"]["autoPauseDelay"]
    price = _price("Azure SQL, serverless, General Purpose")
    small = [MONTH / hours * (1 + asleep_after) / 60 * least * price for hours in LOADS.values()]
    large = [MONTH / hours * (4 * hours * most + asleep_after * least) / 60 * price for hours in LOADS.values()]
    assert _amounts("database, compute", 0)[:3] == [round(amount, 2) for amount in small]
    assert _amounts("database, compute", 1) == [round(amount, 2) for amount in large]
    gigabytes = database["properties"]["maxSizeBytes"] / 2**30
    assert _amounts("database, storage", 0) == [round(gigabytes * _price("Azure SQL, storage"), 2)]


def _price(meter: str) -> float:
    """The first figure of its row."""
    [price] = re.findall(r"^([\d.]+)", ROWS[meter][0])
    return float(price)


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
    memory = documented("defaults").one("Microsoft.Web/sites")["properties"]["functionAppConfig"]["scaleAndConcurrency"]
    ticks = 60 * MONTH  # each minute
    assert f"{ticks:,} × 1 s × {memory['instanceMemoryMB'] // 1024} GB" in ROWS["ticks"][0]
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


@pytest.mark.parametrize("customer", [0, 1])
def test_the_ledger_costs_what_is_counted(customer: int) -> None:
    """Ticks, visits, sessions and recordings, each times what tests count of it, rounded to a hundred thousand or less."""
    told = [
        (int(times.replace(",", "")), float(each), what)
        for times, each, what in re.findall(r"([\d,]+) × ([\d.]+) for (\w+)", ROWS["ledger and queue"][customer])
    ]
    sites = SITES[customer]
    assert {what: each for _, each, what in told} == {
        "ticks": counted.IDLE_TICK + counted.IDLE_TICK_A_SITE * sites,
        "visits": counted.AN_HOUR_S_VISIT,
        "sessions": counted.A_SESSION,
        "recordings": counted.A_RECORDING,
    }
    assert [times for times, _, what in told if what in ("ticks", "visits")] == [60 * MONTH, MONTH * sites]
    [rounded] = re.findall(r": ([\d,]+): \*\*", ROWS["ledger and queue"][customer])
    operations = float(rounded.replace(",", ""))
    assert operations == pytest.approx(sum(times * each for times, each, _ in told), rel=0.01)
    [price] = re.findall(r"([\d.]+) per 10,000 operations", ROWS["tables"][0])
    assert _amounts("ledger and queue", customer)[0] == round(operations / 10_000 * float(price), 2)


def test_a_network_costs_its_endpoints_and_zones() -> None:
    """As many as infra/ makes, and the data of the large customer, in and out of storage."""
    made = documented("a network")
    endpoints, zones = len(made.of("Microsoft.Network/privateEndpoints")), len(made.of("Microsoft.Network/privateDnsZones"))
    month = endpoints * MONTH * _price("private endpoint") + zones * _price("private DNS zone")
    assert f"{endpoints} endpoints, {zones} zones" in ROWS["private network, if wanted"][0]
    assert _amounts("private network, if wanted", 0) == [round(month, 2)]
    assert _amounts("private network, if wanted", 1) == [round(month + 2_000 * 0.01, 2)]


def test_files_cost_their_gigabytes_and_blocks() -> None:
    """At the tier that infra/ gives the account of files, in its kind of copies."""
    data = next(one for one in documented("defaults").of("Microsoft.Storage/storageAccounts") if "data" in one["name"])
    assert (data["properties"]["accessTier"], data["sku"]["name"]) == ("Cool", "Standard_ZRS")
    for customer in (0, 1):
        sizes = re.findall(r"([\d,]+) (GB|TB): ", ROWS["archive, first month → after 7 years"][customer])
        gigabytes = [float(number.replace(",", "")) * (1_000 if unit == "TB" else 1) for number, unit in sizes]
        amounts = [round(size * _price("blobs, cool, ZRS") + 1e-9, 2) for size in gigabytes]
        assert _amounts("archive, first month → after 7 years", customer) == amounts
        assert gigabytes[1] == gigabytes[0] * 7 * 12
        [blocks] = re.findall(r"about ([\d,]+):", ROWS["blob writes"][customer])
        assert _amounts("blob writes", customer) == [round(int(blocks.replace(",", "")) / 10_000 * 0.10, 2)]
