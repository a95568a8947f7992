"""Somebody in front of the pages: cookies, links and forms as a browser has them, without a browser."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin

import requests
from lxml import html

from tests.web.conftest import KEY, Service

UI = "/api/ui/"


class Visitor:
    """A session of pages at one service; `answer` is what came last, `page` its text as a tree."""

    def __init__(self, service: Service, key: str = KEY) -> None:
        self.service = service
        self.http = requests.Session()
        self.open("login")
        self.post("login", key=key)

    def open(self, place: str) -> Any:
        """Follow a link, or go to a page by its path below the pages' home."""
        return self._got(self.http.get(self._url(place), timeout=60))

    def post(self, place: str, files: Any = None, **fields: Any) -> Any:
        """Send a form's fields as they are, with no token but one that is among them."""
        return self._got(self.http.post(self._url(place), data=fields, files=files, timeout=60))

    def press(self, label: str, files: Any = None, **fields: Any) -> Any:
        """Send the form on the last page whose button says so, with what it holds and what is filled in."""
        [form] = [form for form in self.page.forms if label in [button.text_content().strip() for button in form.iter("button")]][
            :1
        ]
        button = next(one for one in form.iter("button") if one.text_content().strip() == label)
        named = {button.get("name"): button.get("value")} if button.get("name") else {}
        return self.post(form.action, files, **{**dict(form.form_values()), **named, **fields})

    @property
    def text(self) -> str:
        main = self.page.xpath("//main")
        return " ".join((main[0] if main else self.page).text_content().split())

    @property
    def token(self) -> str:
        return str(self.page.xpath("//input[@name='csrf_token']/@value")[0])

    def _url(self, place: str) -> str:
        return urljoin(f"{self.service.address}{UI}", place)

    def _got(self, answer: requests.Response) -> Any:
        self.answer = answer
        self.page: Any = html.fromstring(answer.text or "<p></p>")
        return self.page
