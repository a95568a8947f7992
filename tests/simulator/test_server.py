"""Connections, TLS and the log of requests."""

import http.client
import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from bic_lib.simulator import Fault, Profile, Simulator
from tests.simulator.client import NOW, Client

ALL = {"start_time": 0, "duration": 0}


def _connection(sim: Simulator) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(sim.ca_file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return http.client.HTTPSConnection(sim.host, context=context, timeout=10)


def test_the_certificate_is_strictly_valid(sim: Simulator) -> None:
    """A client that checks strictly accepts localhost and 127.0.0.1 with the CA file, and nobody does without it."""
    connection = _connection(sim)
    connection.request("GET", "/check_health")
    assert connection.getresponse().read() == b"OK\n"
    connection.close()
    port = sim.host.partition(":")[2]
    assert requests.get(f"https://127.0.0.1:{port}/check_health", verify=str(sim.ca_file), timeout=10).ok
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"https://{sim.host}/check_health", timeout=10)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_is_the_least(sim: Simulator, version: ssl.TLSVersion) -> None:
    """TLS 1.2 and 1.3 are spoken, nothing below."""
    context = ssl.create_default_context(cafile=str(sim.ca_file))
    context.minimum_version = context.maximum_version = version
    connection = http.client.HTTPSConnection(sim.host, context=context, timeout=10)
    connection.request("GET", "/check_health")
    assert connection.getresponse().status == 200
    connection.close()
    assert sim._server is not None
    assert sim._server.tls.minimum_version == ssl.TLSVersion.TLSv1_2


def test_reports_are_chunked_and_connections_closed(client: Client) -> None:
    """An answer has no length, and says that the connection ends."""
    answer = client.report("SupportSession", **ALL)
    assert answer.headers["Content-Type"] == "text/xml; charset=UTF-8"
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.headers["Connection"] == "close"
    assert "Content-Length" not in answer.headers
    assert answer.content.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n\n<session_list ')


def test_connections_may_be_kept(sim: Simulator) -> None:
    """With `keep_alive` a second request is served on the same connection; the strict mode drops it."""
    sim.faults.keep_alive = True
    connection = _connection(sim)
    for _ in range(2):
        connection.request("GET", "/check_health")
        assert connection.getresponse().read() == b"OK\n"
    sim.faults.strict_connections = True
    connection.request("GET", "/check_health")
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()
    connection.close()
    assert len({each.connection_id for each in sim.requests}) == 1


def test_the_log_tells_what_was_asked(sim: Simulator, client: Client) -> None:
    """Each request is logged with its parameters, status, token, connection and bytes, in order."""
    body = client.report("SupportSession", **ALL).content
    client.request("GET", "/api/backup")
    token, report, refused = sim.requests
    assert (token.method, token.path, token.status) == ("POST", "/oauth2/token", 200)
    assert report.params == {"generate_report": "SupportSession", "start_time": "0", "duration": "0"}
    assert (report.authorized_token_index, report.bytes_sent, report.finished) == (0, len(body), True)
    assert (refused.status, refused.authorized_token_index) == (401, None)
    assert report.time == NOW
    assert len({each.connection_id for each in sim.requests}) == 3


def test_requests_are_served_side_by_side(sim: Simulator, client: Client) -> None:
    """Slow answers do not wait for each other, and the log tells how many were in work."""
    sim.faults.standing = [Fault(on="reports", first_byte_delay=0.3)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.report("SupportSessionListing", **ALL), range(4)))
    assert {each.status_code for each in answers} == {200}
    assert max(each.in_flight for each in sim.requests) == 4


def test_it_can_be_stopped_and_started_again(sim: Simulator, client: Client) -> None:
    """A stopped appliance is unreachable; started again it has its port, its tokens and its log."""
    host = sim.host
    sim.stop()
    with pytest.raises(requests.exceptions.ConnectionError):
        client.report("SupportSession", **ALL)
    sim.start()
    assert sim.host == host
    assert client.report("SupportSession", **ALL).status_code == 200
    assert len(sim.requests) == 2


def test_stopping_breaks_off_slow_answers() -> None:
    """Stop does not wait for an answer of hours."""
    sim = Simulator(Profile(sessions=50), clock=lambda: NOW)
    with sim, ThreadPoolExecutor(1) as pool:
        client = Client(sim)
        sim.faults.standing = [Fault(on="reports", bytes_per_second=10)]
        waiting = pool.submit(client.api, "/api/reporting", {"generate_report": "SupportSession", **ALL})
        while len(sim.requests) < 2:
            assert not waiting.done()
        sim.stop()
        assert isinstance(waiting.exception(timeout=5), requests.exceptions.RequestException)


def test_certificates_go_where_they_are_wanted(tmp_path: Path) -> None:
    """A directory of one's own is kept, with the key closed to others; a temporary one is removed."""
    with Simulator(directory=tmp_path / "tls") as sim:
        assert sim.ca_file == tmp_path / "tls" / "ca.pem"
    assert sim.ca_file.exists()
    assert stat.S_IMODE((tmp_path / "tls" / "server.pem").stat().st_mode) == 0o600
    with Simulator() as sim:
        assert sim.ca_file.exists()
    assert not sim.ca_file.exists()
