"""The function app's own part with everything behind one identity: settings, secrets and files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from bic_lib import wiring
from bic_lib.hosts.functions import Host
from bic_lib.simulator import Profile, Simulator
from bic_lib.simulator.certificates import make_certificates
from tests.cloud.fakes import Cloud
from tests.engine.steps.world import HASTE, wanted
from tests.fixtures_servers import Azurite, run_azurite


@pytest.fixture
def storage(tmp_path: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Azurite]:
    """A storage account over HTTPS that takes tokens of Entra ID; this process trusts both authorities."""
    folder = tmp_path / "storage"
    folder.mkdir()
    files = make_certificates(folder)
    both = tmp_path / "authorities.pem"
    both.write_text(files.ca.read_text() + cloud.ca_file.read_text())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(both))
    shown = ["--oauth", "basic", "--cert", str(files.server), "--key", str(files.server)]
    with run_azurite(folder, *shown, scheme="https") as server:
        yield server


def settings_text(sim: Simulator, cloud: Cloud, storage: Azurite, folder: Path) -> str:
    return f"""
[ledger]
kind = "sqlite"
path = '{folder / "ledger.sqlite"}'
[key_vault]
url = "{cloud.vault_url}"
[sites.support]
host = "{sim.host}"
client_id = "keyvault:support-client"
client_secret = "keyvault:support-secret"
ca_file = '{sim.ca_file}'
max_concurrency = 1
{HASTE}
[destinations.blob]
kind = "azure_blob"
container_url = "{storage.url}/archive"
[schedules.hourly]
every = "1h"
transfers = [{{ site = "support", destination = "blob", data = ["sessions", "command_shell_recordings"] }}]
"""


@pytest.mark.slow
def test_settings_secrets_and_files_by_one_identity(tmp_path: Path, cloud: Cloud, storage: Azurite) -> None:
    """A tick and its visits: bic.toml from a blob, credentials from the vault, sessions into blobs; a token a service, no key."""
    account = BlobServiceClient.from_connection_string(storage.connection_string)
    with Simulator(Profile(sessions=12, days=2, presentations=0)) as sim, account:
        cloud.client_ids.add(tmp_path.name)
        cloud.set_secret("support-client", sim.client_id)
        cloud.set_secret("support-secret", sim.client_secret)
        settings = account.create_container("bic-settings").get_blob_client("bic.toml")
        settings.upload_blob(settings_text(sim, cloud, storage, tmp_path))
        environ = {**cloud.environ(), "BIC_SETTINGS": settings.url, "BIC_IDENTITY": tmp_path.name}
        host = Host(environ)
        visits = host.tick()
        assert visits
        for visit in visits:
            assert host.visit(visit) == []
        archive = account.get_container_client("archive")
        blobs = {blob.name: archive.download_blob(blob.name).readall() for blob in archive.list_blobs()}
        found = [lsid for name, content in blobs.items() if name.endswith(".xml") for lsid, _ in wiring.identify(content)]
        assert sorted(found) == sorted(truth.lsid for truth in wanted(sim))
        host.settings.look().app.ledger.store.close()
    asked = [request.values for request in cloud.asked if request.path == "/msi/token"]
    assert sorted(values["resource"] for values in asked) == ["https://storage.azure.com", "https://vault.azure.net"]
    assert {values["client_id"] for values in asked} == {tmp_path.name}
