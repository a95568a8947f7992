"""The triggers of the function app (Python v2 model). Each binds, calls :mod:`bic_lib.hosts.functions`, and returns.

What they call is imported when they are called: a cold start pays only for what it needs.
"""

import functools
import os
from typing import TYPE_CHECKING, List  # noqa: UP035  # the platform's indexing takes no list[str] within Out

import azure.functions as func

if TYPE_CHECKING:
    from bic_lib.hosts.functions import Host

STORAGE = "AzureWebJobsStorage"
QUEUE = "bic-visits"

SCHEDULE = "%BIC_TICK_SCHEDULE%" if os.environ.get("BIC_TICK_SCHEDULE") else "0 * * * * *"
"""Each minute where nothing else is said: the platform does not even index a trigger whose setting is missing."""

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@functools.cache
def called() -> "Host":
    """What all triggers call, made by the first of them; before it, whether the packages that came along fit this Python."""
    from bic_lib.hosts import fitting  # noqa: PLC0415

    fitting.demand()
    from bic_lib.hosts import functions  # noqa: PLC0415

    return functions.host()


@app.timer_trigger(arg_name="timer", schedule=SCHEDULE, use_monitor=True, run_on_startup=False)
@app.queue_output(arg_name="visits", queue_name=QUEUE, connection=STORAGE)
def tick(timer: func.TimerRequest, visits: func.Out[List[str]]) -> None:  # noqa: ARG001, UP006  # late or not, due is due
    """Make due what is due, and send the visits that are wanted."""
    visits.set(called().tick())


@app.queue_trigger(arg_name="message", queue_name=QUEUE, connection=STORAGE)
@app.queue_output(arg_name="visits", queue_name=QUEUE, connection=STORAGE)
def perform(message: func.QueueMessage, visits: func.Out[List[str]]) -> None:  # noqa: UP006  # as above
    """Make one visit; one that has more to do goes back to the queue."""
    visits.set(called().visit(message.get_body().decode()))


@app.queue_trigger(arg_name="message", queue_name=f"{QUEUE}-poison", connection=STORAGE)
def perform_poison(message: func.QueueMessage) -> None:
    """A visit failed again and again: tell people. Its work is in the ledger, and the next tick sends a visit."""
    called().poisoned(message.get_body().decode())


def answer(request: func.HttpRequest, visits: func.Out[List[str]]) -> func.HttpResponse:  # noqa: UP006  # as above
    """Answer a request, and send the visits that it wants."""
    answered, wanted = called().answer(request.method, request.url, request.headers, request.get_body())
    visits.set(wanted)
    response = func.HttpResponse(answered.body, status_code=answered.status)
    for name, value in answered.headers:
        response.headers.add(name, value)
    return response


def bind(name: str, methods: str, route: str, level: func.AuthLevel = func.AuthLevel.FUNCTION) -> None:
    """Have requests to a route answered; each GET route answers HEAD as well."""
    bound = app.queue_output(arg_name="visits", queue_name=QUEUE, connection=STORAGE)(answer)
    verbs = methods.replace("GET", "GET HEAD").split()
    app.function_name(name)(app.route(route=route, methods=verbs, auth_level=level, trigger_arg_name="request")(bound))


# The routes are those of bic_lib.web.routes, which is not imported here for its weight; a test holds them together.
for name, method, route in (
    ("health", "GET", "health"),
    ("status", "GET", "status"),
    ("download", "POST", "download"),
    ("run", "GET", "runs/{id}"),
    ("tick_now", "POST", "tick"),
    ("check", "POST", "check"),
    ("notify_test", "POST", "notify-test"),
    ("retry", "POST", "retry"),
    ("failures", "GET", "failures"),
    ("session", "GET", "sessions/{lsid}"),
    ("acknowledge", "POST", "acknowledge"),
):
    bind(name, method, route)

# The pages ask for a key of their own.
bind("dashboard", "GET", "dashboard", func.AuthLevel.ANONYMOUS)
bind("pages", "GET POST", "ui/{*place}", func.AuthLevel.ANONYMOUS)
