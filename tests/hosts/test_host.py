"""The test host by itself: what the function app's suite relies on, but would take ten minutes to see."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from azure.functions.meta import Datum
from azure.storage.queue import QueueClient

from tests.hosts import host as test_host
from tests.hosts.emulator import emulator
from tests.hosts.functions import Function, Invoked
from tests.support import ROOT


class Slow:
    """A worker whose one function takes longer than a message stays hidden."""

    functions: tuple[Function, ...] = (
        Function(
            "slow", "slow", ({"type": "queueTrigger", "direction": "IN", "name": "m", "connection": "S", "queueName": "slow"},)
        ),
    )

    def __init__(self) -> None:
        self.begun = self.done = 0

    def invoke(self, function: Function, value: Datum, metadata: Mapping[str, Datum]) -> Invoked:  # a worker's
        self.begun += 1
        time.sleep(3)
        self.done += 1
        return Invoked({})


def test_a_message_in_hand_stays_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long its function takes: nobody else gets it meanwhile, and afterwards it is gone."""
    monkeypatch.setattr(test_host, "_HIDDEN_SECONDS", 2)
    with emulator() as storage, QueueClient.from_connection_string(storage.connection(), "slow") as queue:
        queue.create_queue()
        queue.send_message("bQ==")
        worker = Slow()
        host = test_host.Host(worker, ROOT, {"S": storage.connection()}, end_worker=lambda: None)
        host.start()
        while not worker.done:
            time.sleep(0.1)
        host.stop()
        assert worker.begun == 1
        assert queue.get_queue_properties().approximate_message_count == 0
