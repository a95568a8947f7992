"""Old files: what folders hold, and whose each file is by its name."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path, PurePath

import pytest

from bic_lib import wiring
from bic_lib.actions.belonging import anothers, owner
from bic_lib.actions.old_folders import look
from bic_lib.core.errors import UsageError
from bic_lib.core.model import Document
from bic_lib.engine.app import App
from bic_lib.settings import loading

SITE = """
[sites.{}]
host = "{}"
client_id = "id"
client_secret = "env:SECRET"
"""
LSID = "7c1f0e2ad94b4c0f9b6a3d5581e2c4f7"


def app(folder: Path, **hosts: str) -> App:
    settings = folder / "bic.toml"
    settings.write_text("".join(SITE.format(*one) for one in hosts.items()), encoding="utf-8")
    return wiring.app(loading.load(settings))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> App:
    """The settings have one site."""
    return app(tmp_path_factory.mktemp("one"), support="support.example.com")


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> App:
    """The settings have three, two of them behind one address."""
    hosts = {"support": "support.example.com", "east": "gate.example.com:8443", "west": "gate.example.com:9443"}
    return app(tmp_path_factory.mktemp("several"), **hosts)


def test_the_only_site_gets_what_has_no_other_host(one: App) -> None:
    """Whatever stands between, in whatever case; a date, a version or a folder's ending is no host."""
    names = (
        "support.example.com-{}.xml SUPPORT.example.com-SUPPORT-{}.XML support.example.com_{}.xml support.example.com:443-{}.xml"
        " support.example.com/{}.xml support.example.com/other-{}.xml {}.xml intranet-{}.xml session-2023.11.14-{}.xml"
        " 2023.11.14/{}.xml backup.old/{}.xml"
    )
    for name in names.split():
        assert owner(one, PurePath(name.format(LSID))) == "support", name


def test_no_file_of_another_host_is_the_only_sites(one: App) -> None:
    """However its name is put together, in any script, composed or not; in a folder of its host too."""
    names = (
        "other.example.org-{}.xml OTHER.example.org-{}.xml other.example.org_{}.xml {}-other.example.org.xml"
        " other.example.org_8443-{}.xml other.example.org:443-{}.xml other.example.org.-{}.xml https___other.example.org-{}.xml"
        " other.example.org/{}.xml other.example.org/2023/{}.xml münchen.example.de-{}.xml xn--mnchen-3ya.de-{}.xml"
        " 10.1.2.3-{}.xml 10.1.2.3_{}.xml support.example.com.evil.org-{}.xml not-support.example.com-{}.xml"
        " support.example.com:8443-{}.xml"
    )
    for name in names.split():
        for form in ("NFC", "NFD"):
            with pytest.raises(UsageError, match="another host"):
                owner(one, PurePath(unicodedata.normalize(form, name.format(LSID))))


def test_whoever_names_the_site_decides_where_no_name_begins_with_a_host(one: App, several: App) -> None:
    """But not against a name that the vendor's program gave."""
    assert owner(one, PurePath(f"other.example.org_{LSID}.xml"), "support") == "support"
    assert owner(several, PurePath(f"{LSID}.xml"), "west") == "west"
    for name, site in (("other.example.org-1.xml", "support"), ("support.example.com-1.xml", "west")):
        with pytest.raises(UsageError, match="host"):
            owner(several, PurePath(name), site)


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("gate.example.com:8443-1.xml", "east"),
        ("gate.example.com_x003A_9443-1.xml", "west"),
        ("gate.example.com_9443-1.xml", "west"),
        ("gate.example.com:9443/1.xml", "west"),
        ("support.example.com/gate.example.com_8443-1.xml", "east"),
        ("gate.example.com-1.xml", None),
        ("gate.example.com/1.xml", None),
        ("gate.example.com:7443-1.xml", None),
        ("1.xml", None),
    ],
)
def test_of_several_sites_one_is_told_by_host_and_port(several: App, name: str, site: str | None) -> None:
    """The file's own name goes before its folder's; where neither tells it, nobody guesses."""
    if site:
        assert owner(several, PurePath(name)) == site
        return
    with pytest.raises(UsageError, match="host"):
        owner(several, PurePath(name))


def test_links_to_another_site_say_whose_a_session_is(several: App) -> None:
    """An appliance wrote them into it; a host that no site has may be its second name."""
    link = "<session_chat_view_url>https://{}/session_download?lsid=l</session_chat_view_url>"
    text = f'<session_list><session lsid="{LSID}">{link}</session></session_list>'
    for host, wrong in (
        ("SUPPORT.example.com", True),
        ("gate.example.com:8443", False),
        ("public.example.com", False),
        ("[x", False),
    ):
        [document] = wiring.read_document(text.format(host).encode())
        assert isinstance(document, Document)
        assert bool(anothers(several, document, "west")) is wrong


def test_nothing_in_a_folder_is_passed_over_in_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed files, links to other folders and to nowhere, and folders that can't be read are named; all else is counted."""
    old = tmp_path / "old"
    (old / "2023" / "locked").mkdir(parents=True)
    (tmp_path / "disk").mkdir()
    (old / "2024").symlink_to(tmp_path / "disk")
    (old / "gone.xml").symlink_to(tmp_path / "nowhere")
    for name in ("a.XML", "2023/b.xml", "c.xml.gz", "d.ZIP", "e.rar", "f.flv", "g.flv", "README"):
        (old / name).write_bytes(b"x")
    usual = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return usual(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = look([old])
    assert [str(one.called) for one in found.xml] == ["old/a.XML", "old/2023/b.xml"]
    assert {Path(name).name: why.split(":")[0] for name, why in found.refused} == {
        **dict.fromkeys(("c.xml.gz", "d.ZIP", "e.rar"), "packed"),
        "2024": "a link to a folder",
        "gone.xml": "no file, or a link that leads nowhere",
        "locked": "this folder can't be read",
    }
    assert found.others == {".flv": 2, "README": 1}
