"""A Kerberos realm on loopback (MIT's KDC), with one user and one file server, for tests of entering without a password."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.fixtures_servers import end, free_port, wait_for
from tests.needs import program

REALM = "BIC.TEST"
PASSWORD = "Pa55-of-a-realm"

_CLIENT = """[libdefaults]
default_realm = {realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
[realms]
{realm} = {{
  kdc = 127.0.0.1:{port}
}}
[domain_realm]
localhost = {realm}
"""
_SERVER = """[kdcdefaults]
kdc_listen = 127.0.0.1:{port}
kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{realm} = {{
  database_name = {folder}/principal
  key_stash_file = {folder}/stash
  acl_file = {folder}/acl
  disable_pac = true
}}
"""


@dataclass(frozen=True)
class Realm:
    """A realm with the user `user` and the server `cifs/localhost`, whose key lies in `keytab`."""

    folder: Path
    user: str

    @property
    def keytab(self) -> Path:
        return self.folder / "keytab"

    @property
    def environ(self) -> dict[str, str]:
        """What whoever speaks with this realm needs in its environment."""
        return {
            "KRB5_CONFIG": str(self.folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(self.folder / "kdc.conf"),
            "KRB5CCNAME": f"FILE:{self.folder / 'tickets'}",
        }

    @property
    def options(self) -> tuple[str, ...]:
        """What makes Samba a server of this realm."""
        return (f"realm = {REALM}", "kerberos method = dedicated keytab", f"dedicated keytab file = FILE:{self.keytab}")

    def ticket(self, seconds: int) -> None:
        """The user logs in for so long."""
        self.call("kinit", "-l", f"{seconds}s", self.user, given=PASSWORD)

    def no_ticket(self) -> None:
        """The user logs out."""
        self.call("kdestroy", "-A")

    def call(self, name: str, *words: str, given: str = "") -> None:
        environ = {**os.environ, **self.environ}
        subprocess.run([program(name), *words], input=given, text=True, env=environ, check=True, capture_output=True)


@contextlib.contextmanager
def run_kdc(folder: Path, user: str) -> Iterator[Realm]:
    """A realm with its files in this folder."""
    realm, port = Realm(folder, user), free_port()
    (folder / "krb5.conf").write_text(_CLIENT.format(realm=REALM, port=port))
    (folder / "kdc.conf").write_text(_SERVER.format(realm=REALM, port=port, folder=folder))
    realm.call("kdb5_util", "create", "-s", "-r", REALM, "-P", PASSWORD)
    for asked in (
        f"addprinc -pw {PASSWORD} {user}",
        "addprinc -randkey cifs/localhost",
        f"ktadd -k {realm.keytab} cifs/localhost",
    ):
        realm.call("kadmin.local", "-q", asked)
    process = psutil.Popen(
        [program("krb5kdc"), "-n"], env={**os.environ, **realm.environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(port, process)
        yield realm
    finally:
        end(process)
