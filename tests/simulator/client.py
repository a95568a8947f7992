"""A plain client for the simulated appliance: what a test wants to ask, over real HTTPS."""

from collections.abc import Mapping

import requests
from lxml import etree

from bic_lib.simulator import Simulator

NOW = 1_760_000_000.0


class Client:
    """Asks one simulator with one token."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self.token = str(self.ask_token().json()["access_token"])

    def ask_token(self, **options: object) -> requests.Response:
        """The answer of the token endpoint, by Basic credentials and a form unless told otherwise."""
        usual: dict[str, object] = {
            "auth": (self.sim.client_id, self.sim.client_secret),
            "data": {"grant_type": "client_credentials"},
        }
        return self.request("POST", "/oauth2/token", **(options or usual))

    def request(self, method: str, path: str, **options: object) -> requests.Response:
        """One request with verified TLS."""
        url = f"https://{self.sim.host}{path}"
        return requests.request(method, url, verify=str(self.sim.ca_file), timeout=20, **options)  # type: ignore[arg-type] # any option

    def api(self, path: str, params: Mapping[str, object] | None = None, **options: object) -> requests.Response:
        """One GET with our token."""
        return self.request("GET", path, params=params, headers=self.authorization, **options)

    def report(self, name: str, **params: object) -> requests.Response:
        """One report."""
        return self.api("/api/reporting", {"generate_report": name, **params})

    def ids(self, name: str, **params: object) -> list[str]:
        """The lsids in a report; empty for an error document."""
        return lsids(self.report(name, **params).content)

    @property
    def authorization(self) -> dict[str, str]:
        """The header with our token."""
        return {"Authorization": f"Bearer {self.token}"}


def lsids(xml: bytes) -> list[str]:
    """The lsids of the records of a report."""
    return [str(child.get("lsid")) for child in etree.fromstring(xml) if child.get("lsid")]


def error_text(xml: bytes) -> str:
    """The text of an error document."""
    root = etree.fromstring(xml)
    assert etree.QName(root).localname == "error"
    return root.text or ""
