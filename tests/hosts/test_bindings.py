"""What Azure would find in function_app.py: indexed cleanly by the platform's own library, and as the documentation says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bic_lib.hosts import functions
from bic_lib.notices.notify import LIVES
from bic_lib.web.routes import ROUTES
from infra.package import deployed_python
from tests.hosts.running import runtime_python
from tests.support import ROOT, clean_environ

HOST = json.loads((ROOT / "host.json").read_text())
_ROW = re.compile(r"\| `(\w+)` \| (.+?) \| (.+?) \|$", re.MULTILINE)
_HEAVY = (
    "azure.core",
    "azure.data",
    "azure.storage",
    "flask",
    "jinja2",
    "lxml",
    "msal",
    "pydantic",
    "pyodbc",
    "requests",
    "smbprotocol",
    "sqlalchemy",
)


def indexed(python: Path | str, schedule: str = "0 */5 * * * *") -> list[dict[str, Any]]:
    """The functions as the test host's worker finds them under this interpreter."""
    command = [str(python), "-m", "tests.hosts", "--bindings"]
    environ = clean_environ(**({"BIC_TICK_SCHEDULE": schedule} if schedule else {}))
    found = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    functions: list[dict[str, Any]] = json.loads(found.stdout)
    return functions


def told(function: dict[str, Any]) -> tuple[str, str, str]:
    """A function as a row of the documentation."""
    outputs = [binding for binding in function["bindings"] if binding["direction"] == "OUT"]
    puts = ", ".join("HTTP" if binding["type"] == "http" else f"queue `{binding['queueName']}`" for binding in outputs)
    return function["name"], _trigger(function["bindings"]), puts or "–"


def _trigger(bindings: list[dict[str, Any]]) -> str:
    trigger = next(binding for binding in bindings if binding["direction"] == "IN")
    match trigger["type"]:
        case "timerTrigger":
            monitor = "with monitor" if trigger["useMonitor"] else "without monitor"
            return f"timer `{trigger['schedule']}`, {monitor}, {'at start' if trigger['runOnStartup'] else 'not at start'}"
        case "queueTrigger":
            return f"queue `{trigger['queueName']}`"
    path = f"/{HOST['extensions']['http']['routePrefix']}/{trigger['route']}"
    return f"{' '.join(trigger['methods'])} `{path}`, level {trigger['authLevel'].lower()}"


def documented() -> list[tuple[str, str, str]]:
    text = (ROOT / "docs/functions.md").read_text()
    table = text[text.index("## Functions") : text.index("## App settings")]
    return [(row[1], row[2], row[3]) for row in _ROW.finditer(table)]


@pytest.mark.parametrize("library", ["sdk", "runtime"])
def test_the_bindings_are_the_documented_ones(library: str) -> None:
    """Names, schedules, queues, routes and levels equal the table in docs/functions.md; indexing raises nothing."""
    python = runtime_python() if library == "runtime" else sys.executable
    assert sorted(map(told, indexed(python))) == sorted(documented())


def test_without_its_setting_the_timer_ticks_each_minute() -> None:
    """The platform indexes no trigger whose setting is missing, and all the others would answer as if all were well."""
    [tick] = [told(function)[1] for function in indexed(sys.executable, "") if function["name"] == "tick"]
    assert tick == "timer `0 * * * * *`, with monitor, not at start"


def test_the_suite_runs_on_the_python_that_is_deployed() -> None:
    """The kind `runtime` of the function app's suite is the Python that infra names, with what the lock gives it."""
    asked = "import sys, importlib.metadata as m; print('%d.%d' % sys.version_info[:2], m.version('azure-functions'))"
    told = subprocess.run([str(runtime_python()), "-c", asked], capture_output=True, text=True, check=True).stdout
    version, library = told.split()
    assert version == deployed_python()
    assert f"\nazure-functions=={library} ;" in (ROOT / "requirements.txt").read_text("utf-8")


def test_every_connection_is_the_app_s_own_storage() -> None:
    """No trigger wants a further connection."""
    connections = {binding.get("connection") for function in indexed(sys.executable) for binding in function["bindings"]}
    assert connections == {"AzureWebJobsStorage", None}


def test_the_routes_are_those_of_the_web() -> None:
    """What the app binds is what bic_lib.web.routes answers: name, method, path."""
    bound = {name: trigger for name, trigger, _ in map(told, indexed(sys.executable)) if trigger.startswith(("GET", "POST"))}
    functions = {name: trigger for name, trigger in bound.items() if name not in ("pages", "dashboard")}
    assert functions == {
        route.name: f"{'GET HEAD' if route.method == 'GET' else route.method} `{_braced(route.path)}`, level function"
        for route in ROUTES
    }


def _braced(path: str) -> str:
    """A path of ours in the platform's spelling."""
    return path.replace("<", "{").replace(">", "}")


def test_a_message_outlives_many_kills() -> None:
    """A platform's kill costs a message one of its lives; docs/design.md 7 says how many it has."""
    queues = HOST["extensions"]["queues"]
    assert queues["maxDequeueCount"] == LIVES == 20
    assert "failed twenty times" in (ROOT / "docs/functions.md").read_text("utf-8")


def test_the_hosts_own_requests_are_no_warnings() -> None:
    """Each tick's 409 (a container that is there) and each poll's 404 would fill the log that people read."""
    assert HOST["logging"]["logLevel"]["Azure.Core"] == "Error"


def test_the_time_limit_is_that_of_host_json() -> None:
    """A step is stopped before the platform's own limit, which both know."""
    hours, minutes, seconds = map(int, HOST["functionTimeout"].split(":"))
    assert hours * 3_600 + minutes * 60 + seconds == functions.FUNCTION_TIMEOUT


def test_a_cold_start_imports_no_sdk() -> None:
    """Importing the app brings in neither storage, SQL nor SMB libraries, nor our own rooms."""
    code = "import sys, function_app; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in loaded if name.startswith((*_HEAVY, "bic_lib"))]


def test_ticks_and_visits_load_no_web() -> None:
    """What the triggers call brings in neither Flask nor our routes: only an HTTP call pays for them."""
    code = "import sys, bic_lib.hosts.functions; print('\\n'.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in loaded if name.startswith(("flask", "jinja2", "bic_lib.web"))]


def test_the_example_settings_name_every_app_setting() -> None:
    """Each setting that the documentation and the triggers name is in local.settings.example.json."""
    example = json.loads((ROOT / "local.settings.example.json").read_text())
    text = (ROOT / "docs/functions.md").read_text()
    settings = text[text.index("## App settings") : text.index("## Time limits")]
    names = re.findall(r"^\| `(\w+)` \|", settings, re.MULTILINE)
    assert example["IsEncrypted"] is False
    assert {"AzureWebJobsStorage", "BIC_SETTINGS", "BIC_IDENTITY", "BIC_TICK_SCHEDULE", "BIC_VISIT_MINUTES"} <= set(names)
    assert {*names, "FUNCTIONS_WORKER_RUNTIME"} <= example["Values"].keys()
