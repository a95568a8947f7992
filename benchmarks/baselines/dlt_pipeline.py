"""A dlt pipeline for the same: `dlt_pipeline.py URL CA FOLDER NOW DAYS`.

It is run by a Python that has dlt[sqlalchemy], lxml, requests and xmltodict, in a virtual environment of its own.
dlt normalizes the nested documents into tables by itself; the XML files are written beside.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import requests
import xmltodict
from lxml import etree

DAY = 86_400


def sessions(url: str, ca: str, folder: str, now: str, days: str) -> Iterator[dict[str, Any]]:
    """Each session as a nested document, its XML on the disk."""
    host = url.partition("://")[2]
    token = requests.post(f"{url}/oauth2/token", data={"grant_type": "client_credentials"}, verify=ca, timeout=60).json()
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    for begin in range(int(now) - int(days) * DAY, int(now) + DAY, DAY):
        asked = {"generate_report": "SupportSession", "end_time": str(begin), "duration": str(DAY)}
        answer = requests.get(f"{url}/api/reporting", params=asked, headers=headers, verify=ca, timeout=60)
        for record in etree.fromstring(answer.content, etree.XMLParser(huge_tree=True)).iterchildren("{*}session"):
            xml = etree.tostring(record)
            Path(folder, f"{host.replace(':', '_')}-support-{record.get('lsid')}.xml").write_bytes(xml)
            yield {"host_name": host, **xmltodict.parse(xml, attr_prefix="", cdata_key="text")["session"]}


def main(*arguments: str) -> None:
    folder = arguments[2]
    os.environ["LOAD__WORKERS"] = "1"  # of several, those that find SQLite locked fail
    pipeline = dlt.pipeline(
        "sessions",
        pipelines_dir=str(Path(folder, "dlt")),
        destination=dlt.destinations.sqlalchemy(f"sqlite:///{Path(folder, 'rows.sqlite')}"),
        dataset_name="main",
    )
    resource = dlt.resource(sessions(*arguments), name="session", primary_key=("host_name", "lsid"), write_disposition="append")
    pipeline.run(resource)


if __name__ == "__main__":
    main(*sys.argv[1:6])
