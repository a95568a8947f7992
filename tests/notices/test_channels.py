"""Channels: notices by other services, told to real servers over HTTPS and SMTP."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bic_lib.core.model import Visit
from bic_lib.ledger.notices import Notices
from bic_lib.ledger.streams import Rest
from bic_lib.masking import STARS, masked
from bic_lib.notices import channels, ways
from bic_lib.notices.notify import Notifier, Unsent, notify, poisoned
from bic_lib.settings import loading
from bic_lib.simulator.certificates import CertificateFiles, make_certificates
from tests.fixtures_servers import free_port
from tests.notices.conftest import HOUR, Mailbox, World
from tests.notices.receivers import Receiver, receiving
from tests.support import ROOT, Bic

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # one of Apprise's kinds asks for it
TOKEN = "T0ken-of-0ps"
Receive = Callable[..., Receiver]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    """An authority of its own, and a certificate for localhost."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def receive(certificates: CertificateFiles, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receive]:
    """Starts receivers; this process trusts their authority."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.ca))
    with ExitStack() as stack:
        yield lambda *, tls=True: stack.enter_context(receiving(certificates if tls else None))


def named(**urls: str) -> list[Notifier]:
    """The ways of settings that name these channels."""
    references = ", ".join(f'"env:{name}"' for name in urls)
    site = '[sites.a]\nhost = "a.example.com"\nclient_id = "x"\nclient_secret = "env:X"\n'
    text = f"{site}[notifications.channels]\nurls = [{references}]\n"
    return ways.create(loading.parse(text, Path(), "test"), urls)


def test_a_webhook_is_told(receive: Receive) -> None:
    """Over HTTPS, at the place that the URL names: subject and text, what is hidden in them made visible, secrets masked."""
    ops = receive()
    [way] = named(OPS=f"jsons://{ops.place}/hook/{TOKEN}")
    way.send("bic: größer\r\n", f"first\x1b[31m\nsecond {TOKEN} Password=hunter2\n")
    [(method, path, body)] = ops.requests
    assert (method, path) == ("POST", f"/hook/{TOKEN}")
    told = json.loads(body)
    assert told["title"] == "bic: größer"
    assert told["message"].splitlines() == [r"first\x1b[31m", f"second {STARS} Password={STARS}"]


def test_a_mail_over_tls_is_a_channel_too(certificates: CertificateFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apprise's kind for mails, whose server here is not trusted: asked by TLS, refused, and told by its reference."""
    with receiving(certificates) as no_mail_server:
        [way] = named(
            MAIL=f"mailtos://ops:{TOKEN}@localhost:{no_mail_server.port}?mode=ssl&to=ops@example.com&from=bic@example.com"
        )
        with pytest.raises(Unsent, match=r"channel env:MAIL: .*an authority that is not trusted here.*SSL_CERT_FILE"):
            way.send("s", "t")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"json://localhost/{TOKEN}", "json:// does not send by HTTPS"),
        (f"mailto://ops:{TOKEN}@example.com", "mailto:// does not send by HTTPS"),
        (f"syslog://local7?x={TOKEN}", "syslog:// does not send by HTTPS"),
        (f"rsyslog://localhost/{TOKEN}", "rsyslog:// does not send by HTTPS"),
        (f"ircs://localhost/{TOKEN}", "ircs:// does not send by HTTPS"),
        (f"amqps://ops:{TOKEN}@localhost/exchange", "amqps:// does not send by HTTPS"),
        (f"jsons://localhost/{TOKEN}?verify=no", "not to be verified"),
        (f"mailtos://ops:{TOKEN}@example.com?mode=insecure", "not to be verified"),
        (f"mqtts://localhost/{TOKEN}", "mqtts:// does not send by HTTPS"),
        (f"windows://{TOKEN}", "windows:// does not send by HTTPS"),
        (f"slack://{TOKEN}", "no URL of slack://"),
        (f"nosuch://{TOKEN}", "no URL that Apprise knows"),
        (TOKEN, "no URL that Apprise knows"),
        (f"/etc/{TOKEN}", "no URL that Apprise knows"),
    ],
)
def test_only_what_sends_by_https_or_tls_is_used(url: str, why: str) -> None:
    """Whatever Apprise does not send by HTTPS, or by mail over TLS, is refused by its scheme, and nothing of the URL is told."""
    [way] = named(OPS=url)
    with pytest.raises(Unsent, match=r"^channel env:OPS: ") as refused:
        way.send("s", "t")
    assert why in str(refused.value)
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
        "tgram://123456789:abcdefg_hijklmnop/12315544",
        "workflows://prod-1.westeurope.logic.azure.com/643e69f83c8944438d68119179a10a64/KvCRVtz22Lvz2gvR2nXHNN-GFRaTTTGyD",
        "ntfys://ntfy.example.com/topic",
        "mailtos://ops:password@example.com",
    ],
)
def test_what_people_use_is_allowed(url: str) -> None:
    """Teams, Slack, Discord, Telegram, ntfy, mail; also as the service itself spells the address."""
    assert channels._kind(url)


def test_each_url_by_itself(receive: Receive, world: World) -> None:
    """One that fails keeps no other from being told, is tried again alone, and then knows what the others know."""
    good, bad = receive(), receive()
    bad.status = 500
    told_by = named(GOOD=f"jsons://{good.place}/", BAD=f"jsons://{bad.place}/")
    poisoned(world.ledger, Visit("support"))
    notify(world.app, told_by)
    notify(world.app, told_by)
    assert (len(good.requests), len(bad.requests)) == (1, 2)
    bad.status = 200
    notify(world.app, told_by)
    notify(world.app, told_by)
    assert (len(good.requests), len(bad.requests)) == (1, 3)
    assert json.loads(good.bodies()[0]) == json.loads(bad.bodies()[-1])


def test_a_way_that_fails_is_left_alone_till_the_next_tick(world: World) -> None:
    """Ten causes cost one try of a service that is away; each cause reaches it later, and the others once."""
    good, bad = Mailbox("channel env:GOOD"), Mailbox("channel env:BAD", broken=True)
    for n in range(10):
        poisoned(world.ledger, Visit(f"site-{n}"))
    notify(world.app, [bad, good])
    assert (bad.refused, len(good.subjects())) == (1, 10)
    bad.broken = False
    notify(world.app, [bad, good])
    assert (len(bad.subjects()), good.subjects()) == (10, [])


def test_all_clears_reach_each_way_once(world: World) -> None:
    """A service that was away at the end of a cause hears of it later; then the ledger forgets it."""
    good, bad = Mailbox("good"), Mailbox("bad")
    world.ledger.streams.rest_destination("archive", Rest(world.now + 60, 1, world.now, "full"))
    world.now += 2 * HOUR
    notify(world.app, [good, bad])
    world.ledger.streams.rest_destination("archive", Rest())
    world.now += HOUR
    bad.broken = True
    for _ in range(3):
        notify(world.app, [good, bad])
    bad.broken = False
    for _ in range(3):
        notify(world.app, [good, bad])
    assert [subject.split(":")[0] for subject in good.subjects()] == ["bic", "bic, over"]
    assert [subject.split(":")[0] for subject in bad.subjects()] == ["bic", "bic, over"]
    assert Notices(world.ledger.store).read().notices == []


class Heard(logging.Handler):
    """What the handlers of a host are given."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.names.add(record.name.split(".")[0])


def test_the_reason_is_what_apprise_logged(receive: Receive) -> None:
    """A status, and a server that is not there: in the error, by the reference; Apprise's own log says nothing beside it."""
    ops, heard = receive(), Heard()
    ops.status = 403
    logging.getLogger().addHandler(heard)
    try:
        [way] = named(OPS=f"jsons://{ops.place}/{TOKEN}")
        with pytest.raises(Unsent, match=r"channel env:OPS: .*error=403"):
            way.send("s", "t")
        port = free_port()
        [way] = named(AWAY=f"jsons://localhost:{port}/{TOKEN}/messages")
        with pytest.raises(Unsent, match=rf"the service localhost:{port} can't be reached: Connection refused") as refused:
            way.send("s", "t")
    finally:
        logging.getLogger().removeHandler(heard)
    assert "/messages" not in str(refused.value)
    assert TOKEN not in str(refused.value)
    assert "apprise" not in heard.names


def test_no_certificate_no_message(receive: Receive, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver whose authority nobody trusts is told nothing."""
    ops = receive()
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    [way] = named(OPS=f"jsons://{ops.place}/")
    with pytest.raises(Unsent, match=r"an authority that is not trusted here.*REQUESTS_CA_BUNDLE"):
        way.send("s", "t")
    assert ops.requests == []


def test_a_redirect_is_not_followed(receive: Receive) -> None:
    """What is told goes to the place that the URL names, whatever that place answers, and whatever the URL asks for."""
    ops, elsewhere = receive(), receive(tls=False)
    ops.status, ops.location = 307, f"http://{elsewhere.place}/"
    [way] = named(OPS=f"jsons://{ops.place}/?redirect=yes")
    with pytest.raises(Unsent, match=r"we are redirected to localhost:\d+ \(HTTP 307\)"):
        way.send("s", "t")
    assert elsewhere.requests == []


def test_parts_of_a_url_are_masked_alone(receive: Receive) -> None:
    """User, password, tokens in path, host and query, also percent-encoded; words and the place's own name stay readable."""
    [way] = named(
        OPS="nosuch://ops-user1:p%40ss-w0rd@hooks.example.com:8443/services/B4CD/abcdefghij?key=qu3ry%2Fkey&format=text"
    )
    with pytest.raises(Unsent):
        way.send("s", "t")
    secret = ["ops-user1", "p@ss-w0rd", "p%40ss-w0rd", "B4CD", "abcdefghij", "qu3ry/key", "/services/B4CD/abcdefghij"]
    assert [part for part in secret if masked(f"<{part}>") != f"<{STARS}>"] == []
    assert masked("hooks.example.com:8443 text services") == "hooks.example.com:8443 text ********"
    [way] = named(OPS="discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js?x=y")
    channels._kind("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js")
    with pytest.raises(Unsent):
        way.send("s", "")
    assert masked("4174216298") == STARS


def test_a_service_that_drips_does_not_stop_the_tick(receive: Receive, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its answer never ends: given up after the time that a channel has, and the others are told."""
    slow, good = receive(), receive()
    slow.drips = True
    monkeypatch.setattr(channels, "_SECONDS", 1.0)
    told_by = named(SLOW=f"jsons://{slow.place}/", GOOD=f"jsons://{good.place}/")
    began = time.monotonic()
    with pytest.raises(Unsent, match="channel env:SLOW"):
        told_by[0].send("s", "t")
    told_by[1].send("s", "t")
    assert time.monotonic() - began < 10
    assert len(good.requests) == 1


def test_an_unset_variable_is_told_by_name() -> None:
    """The channel fails by its reference, with what to do."""
    site = '[sites.a]\nhost = "a.example.com"\nclient_id = "x"\nclient_secret = "env:X"\n'
    settings = loading.parse(f'{site}[notifications.channels]\nurls = ["env:NOBODY_SET"]\n', Path(), "test")
    [way] = ways.create(settings, {})
    with pytest.raises(Unsent, match="channel env:NOBODY_SET: env:NOBODY_SET: the environment variable is not set"):
        way.send("s", "t")


def test_notify_test_tells_of_each_way(receive: Receive, bic: Bic, certificates: CertificateFiles) -> None:
    """`bic notify-test` tries all, names each, and ends with 1 when one failed; no URL is shown, nor by `settings show`."""
    good, bad = receive(), receive()
    bad.status = 500
    file = bic.folder / "bic.toml"
    file.write_text(file.read_text() + '[notifications.channels]\nurls = ["env:GOOD", "env:BAD"]\n')
    urls = {"GOOD": f"jsons://{good.place}/{TOKEN}", "BAD": f"jsons://{bad.place}/{TOKEN}"}
    tested = bic("notify-test", "--json", REQUESTS_CA_BUNDLE=str(certificates.ca), **urls)
    assert tested.status == 1
    assert [(way["name"], way["ok"]) for way in tested.json["ways"]] == [("channel env:GOOD", True), ("channel env:BAD", False)]
    assert "error=500" in tested.json["ways"][1]["detail"]
    assert "bic: channel env:BAD: " in tested.err
    shown = bic("settings", "show", **urls)
    assert TOKEN not in tested.out + tested.err + shown.out
    assert "env:GOOD" in shown.out
    bad.status = 200
    again = bic("notify-test", REQUESTS_CA_BUNDLE=str(certificates.ca), **urls)
    assert (again.status, again.out) == (0, "channel env:GOOD: sent\nchannel env:BAD: sent\n")


def test_apprise_is_imported_when_a_message_is_due(tmp_path: Path) -> None:
    """Neither making the ways nor a tick that has nothing to tell brings it in; a message does."""
    program = f"""
import sys
from pathlib import Path
from tests.notices.conftest import World
from tests.notices.test_channels import named
from bic_lib.core.model import Visit
from bic_lib.notices.notify import notify, poisoned
world, told_by = World(Path({str(tmp_path)!r})), named(OPS="syslog://")
notify(world.app, told_by)
print("apprise" in sys.modules)
poisoned(world.ledger, Visit("support"))
notify(world.app, told_by)
print("apprise" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["False", "True"]
