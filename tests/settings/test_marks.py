"""Marks: a change of what a subject is made of is seen, and nothing of it can be read from them."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

from bic_lib.settings import access, loading
from bic_lib.settings.loading import Settings
from bic_lib.settings.marks import Marks
from tests.cloud.fakes import Cloud

SITE = '[sites.support]\nhost = "localhost"\nclient_id = "a"\nclient_secret = "{secret}"\n'


def settings(folder: Path, secret: str = "env:S", more: str = "") -> Settings:
    file = folder / "bic.toml"
    file.write_text(SITE.format(secret=secret) + more, encoding="utf-8")
    return loading.load(file)


def test_only_a_change_is_a_change(tmp_path: Path) -> None:
    """The same settings and values are no change, whichever process looks; another value, or another key, is one."""
    mark = Marks(settings(tmp_path), {"S": "one"}).mark("site support")
    assert not Marks(settings(tmp_path), {"S": "one", "T": "x"}).changed("site support", mark, anew=True)
    assert Marks(settings(tmp_path), {"S": "two"}).changed("site support", mark, anew=False)
    assert Marks(settings(tmp_path), {}).changed("site support", mark, anew=False)
    assert Marks(settings(tmp_path, more="requests_per_second = 1\n"), {"S": "one"}).changed("site support", mark, anew=False)
    assert not Marks(settings(tmp_path), {"S": "two"}).changed("site other", mark, anew=False)
    assert not Marks(settings(tmp_path), {"S": "two"}).changed("site support", "", anew=False), "a rest of an older bic"


def test_a_mark_is_no_quick_test_of_a_guess(tmp_path: Path) -> None:
    """A guess costs 16 MiB and a slow function each time: the key is made of the values by scrypt, with the mark's own salt."""
    marks = Marks(settings(tmp_path), {"S": "one"})
    first, second = marks.mark("site support"), marks.mark("site support")
    assert not set(first.split(".")[:2]) & set(second.split(".")), "two marks of the same are unlike"
    salt, own, _ = first.split(".")
    key = hashlib.scrypt(b'["one"]', salt=salt.encode(), n=2**14, r=8, p=1, dklen=32)
    told = json.dumps([settings(tmp_path).sites["support"].model_dump_json(), ""])
    assert hmac.new(key, told.encode(), hashlib.sha256).hexdigest().startswith(own)


def test_a_vault_is_known_by_its_versions(tmp_path: Path, cloud: Cloud) -> None:
    """A new version is a change once the vault is read anew; before, or while it does not answer, there is none."""
    access._vault.cache_clear()
    cloud.client_ids.add(tmp_path.name)  # an identity of its own: a process keeps its tokens, and those of another cloud are none
    cloud.set_secret("support", "same")
    identity = f'[identity]\nkind = "managed_identity"\nclient_id = "{tmp_path.name}"\n'
    vault = f'{identity}[key_vault]\nurl = "{cloud.vault_url}"\n'
    marks = Marks(settings(tmp_path, "keyvault:support", vault))
    mark = marks.mark("site support")
    assert not marks.changed("site support", mark, anew=True)
    cloud.set_secret("support", "same")
    assert not marks.changed("site support", mark, anew=False)
    assert marks.changed("site support", mark, anew=True)
    cloud.vault.clear()
    assert not marks.changed("site support", mark, anew=True)
