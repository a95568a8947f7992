"""Fifty sites in files that a person can read: defaults, `*`, and files that are included."""

from __future__ import annotations

from pathlib import Path

import pytest

from bic_lib.core.errors import SettingsError
from bic_lib.core.model import DataType, OpenSessions, Transfer
from bic_lib.settings import including, loading
from bic_lib.settings.including import Texts
from bic_lib.settings.model import LocalFolderSettings, SmbShareSettings, SqlDatabaseSettings

SHARED = """
[site_defaults]
client_secret = "keyvault:{site}-secret"
requests_per_second = 5
[key_vault]
url = "https://vault.vault.azure.net"
[destinations.archive]
kind = "local_folder"
directory = "archive"
[schedules.hourly]
every = "1h"
transfers = [{ site = "*", destination = "archive", data = ["sessions", "session_recordings"] }]
"""


def site(name: str, *more: str) -> str:
    """A site as it stands in a file of fifty."""
    return "\n".join((f"[sites.{name}]", f'host = "{name}.example.com"', f'client_id = "{name}"', *more, ""))


def written(folder: Path, main: str, **files: str) -> Path:
    """A settings file that includes these of `sites.d`."""
    (folder / "sites.d").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"sites.d/{name}.toml").write_text(text, encoding="utf-8")
    path = folder / "bic.toml"
    path.write_text('include = ["sites.d/*.toml"]\n' + main, encoding="utf-8")
    return path


def wrong(path: Path) -> tuple[str, ...]:
    """What is wrong with a settings file."""
    with pytest.raises(SettingsError) as caught:
        loading.load(path)
    return caught.value.problems


def parsed(text: str) -> loading.Settings:
    return loading.parse(text, Path("/srv/bic"), "bic.toml")


def refused(text: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        parsed(text)
    return caught.value.problems


def test_fifty_sites_are_three_lines_each() -> None:
    """A default counts in each site, with the site's name in it, unless the site says otherwise."""
    text = SHARED + "".join(site(f"s{n}") for n in range(50)) + site("fast", "requests_per_second = 20")
    settings = parsed(text)
    assert settings.sites["s7"].client_secret == "keyvault:s7-secret"
    assert {one.requests_per_second for name, one in settings.sites.items() if name != "fast"} == {5}
    assert settings.sites["fast"].requests_per_second == 20
    assert {transfer.site for transfer in settings.schedule_values["hourly"].transfers} == settings.sites.keys()


def test_a_destination_takes_the_defaults_that_its_kind_has() -> None:
    """A default counts in each destination whose kind has that key; `{site}` is the one site that sends there."""
    text = (
        site("berlin", 'client_secret = "env:X"')
        + r"""
[destination_defaults]
retention_count = 3
username = 'EXAMPLE\svc-{site}'
password = "env:SHARE_{site}"
file_name_format = { sessions = "{site}/%LSID%.%EXTENSION%" }
[destinations.share]
kind = "smb_share"
directory = '\\files.example.com\support'
[destinations.rows]
kind = "sql_database"
connection_string = "sqlite:///rows.sqlite"
[destinations.other]
kind = "local_folder"
directory = "other"
file_name_format = "%LSID%.%EXTENSION%"
[schedules.hourly]
every = "1h"
transfers = [
  { site = "berlin", destination = "share", data = ["sessions"] },
  { site = "*", destination = "rows", data = ["sessions"] },
]
"""
    )
    share, rows, other = parsed(text).destinations.values()
    assert isinstance(share, SmbShareSettings)
    assert (share.retention_count, share.username, share.password) == (3, r"EXAMPLE\svc-berlin", "env:SHARE_berlin")
    assert share.formats() == {DataType.SESSIONS: "berlin/%LSID%.%EXTENSION%"}
    assert isinstance(rows, SqlDatabaseSettings)
    assert isinstance(other, LocalFolderSettings)
    assert (other.retention_count, other.file_name_format) == (3, "%LSID%.%EXTENSION%")


BOTH = site("a") + site("b")
FOLDER = '[destinations.folder]\nkind = "local_folder"\n'
DIRECTORY = '[destination_defaults]\ndirectory = "{site}"\n'


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        (
            SHARED.replace("requests_per_second = 5", 'history = "3 months"') + BOTH,
            "site_defaults.history",
            '"3 months" is no duration',
        ),
        (SHARED.replace("requests_per_second", "request_per_second") + BOTH, "site_defaults.request_per_second", "did you mean"),
        (SHARED.replace("requests_per_second = 5", 'host = "x"') + BOTH, "site_defaults.host", "each site has its own host"),
        (SHARED.replace("requests_per_second = 5", 'was = "x"') + BOTH, "site_defaults.was", "each site has its own was"),
        (SHARED.replace("requests_per_second = 5", 'client_id = "x"') + BOTH, "site_defaults.client_id", "each site has its own"),
        (
            SHARED.replace("keyvault:{site}-secret", "env:{name}_SECRET") + site("a"),
            "site_defaults.client_secret",
            "no environment variable",
        ),
        (
            SHARED.replace("requests_per_second = 5", "ca_file = '{name}.pem'") + BOTH,
            "site_defaults.ca_file",
            "{name} is not known; {site}",
        ),
        (SHARED + site("my_site"), "site_defaults.client_secret for sites.my_site", "names no vault secret"),
        ('site_defaults = "x"\n' + SHARED.replace("[site_defaults]", "[site_defaults2]"), "site_defaults", "must be a table"),
        (
            SHARED + BOTH + "[destination_defaults]\nretention = 1",
            "destination_defaults.retention",
            'did you mean "retention_count"?',
        ),
        (
            SHARED + BOTH + "[destination_defaults]\nkind = 'local_folder'",
            "destination_defaults.kind",
            "each destination has its own",
        ),
        (SHARED + BOTH + "[destination_defaults]\nretention_count = -1", "destination_defaults.retention_count", "at least 0"),
        (SHARED + BOTH + DIRECTORY + FOLDER, "destination_defaults.directory for destinations.folder", "and none does"),
        (
            SHARED.replace('directory = "archive"', "") + BOTH + DIRECTORY,
            "destination_defaults.directory for destinations.archive",
            "2 sites do",
        ),
        (SHARED + BOTH + site("c").replace("c.example.com", "A.example.com:443"), "sites.c.host", "is the host of sites.a too"),
        (SHARED.replace('"*"', '"**"') + BOTH, "schedules.hourly.transfers[0].site", '"*" for every enabled site'),
        (SHARED.replace('"archive", data', '"*", data') + BOTH, "schedules.hourly.transfers[0].destination", "is no name"),
    ],
)
def test_what_is_shared_is_named_where_it_is_written(text: str, path: str, words: str) -> None:
    """A wrong default is one problem at the default, not one at each of fifty sites."""
    told = [problem for problem in refused(text) if problem.startswith(f"{path}: ")]
    assert len(told) == 1, refused(text)
    assert words in told[0]


def test_every_site_means_the_enabled_ones_once() -> None:
    """`*` gives a transfer for each enabled site; what a line with the site's name gives too is one, as that line says."""
    named = '{ site = "a", destination = "archive", data = ["sessions"], open_sessions = "deliver" }'
    text = SHARED.replace('"session_recordings"] }]', f'"session_recordings"] }}, {named}]')
    transfers = parsed(text + BOTH + site("off", "enabled = false")).schedule_values["hourly"].transfers
    assert transfers == (
        Transfer("a", "archive", (DataType.SESSION_RECORDINGS,)),
        Transfer("b", "archive", (DataType.SESSIONS, DataType.SESSION_RECORDINGS)),
        Transfer("a", "archive", (DataType.SESSIONS,), OpenSessions.DELIVER),
    )


def test_files_are_included_and_their_paths_begin_at_the_main_one(tmp_path: Path) -> None:
    """Sites, destinations and schedules may stand in files of their own, in the order of their names."""
    folder = '[destinations.tokyo]\nkind = "local_folder"\ndirectory = "tokyo"\n'
    path = written(tmp_path, SHARED, b=site("berlin"), a=site("tokyo") + folder)
    settings = loading.load(path)
    assert list(settings.sites) == ["tokyo", "berlin"]
    assert settings.path(settings.destinations["tokyo"].directory) == tmp_path / "tokyo"  # type: ignore[union-attr]


def test_a_new_file_changes_the_text(tmp_path: Path) -> None:
    """All texts together are the settings' text: one more file, or a change of one, is a change."""
    path = written(tmp_path, SHARED, a=site("a"))
    before = including.read(path)
    assert including.read(path) == before
    (tmp_path / "sites.d/b.toml").write_text(site("b"), encoding="utf-8")
    assert including.read(path) != before


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"a": site("a"), "b": site("a")}, "sites.d/b.toml: sites.a: is in sites.d/a.toml too; in one of them only"),
        (
            {"a": site("a") + FOLDER.replace("folder]", "archive]")},
            "sites.d/a.toml: destinations.archive: is in bic.toml too; in one",
        ),
        ({"a": site("a") + '[ledger]\nkind = "sqlite"\n'}, "sites.d/a.toml: ledger: is not allowed here; only [sites.*]"),
        ({"a": site("a") + "[site_defaults]\n"}, "sites.d/a.toml: site_defaults: is not allowed here; only"),
        (
            {"a": 'include = ["x.toml"]\n' + site("a")},
            "sites.d/a.toml: include: is not allowed here; they are included by the main",
        ),
        ({"a": "[sites.a\n"}, "sites.d/a.toml: line 1, column 9: "),
        ({"a": site("a"), "b": "sites = 5"}, "sites.d/b.toml: sites: must be a table"),
        ({"a": site("a").replace("a.example", "https://a.example")}, "sites.d/a.toml: sites.a.host: has a scheme"),
        (
            {"a": site("a"), "b": site("b").replace("b.example", "a.example")},
            "sites.d/b.toml: sites.b.host: is the host of sites.a too",
        ),
    ],
)
def test_what_is_wrong_in_an_included_file_is_told_with_the_file(tmp_path: Path, files: dict[str, str], problem: str) -> None:
    """Each problem names the file and the path in it; two tables of one name, both files."""
    (told,) = wrong(written(tmp_path, SHARED, **files))
    assert told.startswith(problem)


def test_what_is_wrong_in_the_main_file_names_it_too(tmp_path: Path) -> None:
    """Where there are several files, a problem of the main one says so."""
    told = wrong(written(tmp_path, SHARED.replace('"1h"', '"1x"'), a=site("a")))
    assert [problem.partition(': "1x"')[0] for problem in told] == ["bic.toml: schedules.hourly.every"]


@pytest.mark.parametrize(
    ("include", "words"),
    [
        ('["sites.d/berlin.toml"]', 'include[0]: there is no file "sites.d/berlin.toml"'),
        ('["nowhere/*.toml"]', 'include[0]: there is no file "nowhere/*.toml"'),
        ('["*.toml"]', 'include[0]: "*.toml" takes in bic.toml itself'),
        ('["sites.d"]', "can't be read"),
        ('"sites.d/*.toml"', "include: must be a list"),
        ("[5]", "include[0]: must be text"),
        ('[""]', "include[0]: is empty"),
    ],
)
def test_what_can_not_be_included_is_named(tmp_path: Path, include: str, words: str) -> None:
    """An entry that finds no file, or has another shape, is a problem; a pattern in a folder that is there may find none."""
    path = written(tmp_path, SHARED + site("a"))
    path.write_text(path.read_text().replace('["sites.d/*.toml"]', include))
    assert words in "\n".join(wrong(path))
    written(tmp_path, SHARED + site("a"))
    assert loading.load(path).sites.keys() == {"a"}


def test_a_broken_included_file_is_no_reason_to_call_its_sites_unknown(tmp_path: Path) -> None:
    """A syntax error is told by itself: what follows from it would only hide it."""
    path = written(tmp_path, SHARED.replace('"*"', '"a"'), a=site("a") + "= 5")
    assert len(wrong(path)) == 1


def test_blobs_are_included_by_their_names_beside_the_main_one() -> None:
    """From a URL, names of blobs beside it are read with the same signature; patterns and ways out are problems."""
    at = "https://acct.blob.core.windows.net/conf/bic.toml?sv=1&sig=abc"
    blobs = {
        at: 'include = ["berlin.toml", "more/tokyo.toml"]\n' + SHARED,
        at.replace("bic.toml", "berlin.toml"): site("berlin"),
        at.replace("bic.toml", "more/tokyo.toml"): site("tokyo"),
    }
    assert loading.load(at, blobs.__getitem__).sites.keys() == {"berlin", "tokyo"}
    for name in ("*.toml", "../other/x.toml", "https://elsewhere/x.toml", "/x.toml", "x.toml?v=y", "a/../x.toml", ".."):
        blobs[at] = f'include = ["{name}"]\n' + SHARED
        with pytest.raises(SettingsError) as caught:
            loading.load(at, blobs.__getitem__)
        assert caught.value.problems[0].startswith(f'include[0]: "{name}" is no name of a blob; ')
        assert "sig=abc" not in str(caught.value)


def test_a_text_alone_is_one_without_included_ones() -> None:
    """What is parsed as a text is the same as texts of which it is the main one."""
    assert parsed(SHARED + site("a")) == loading.parse(Texts(SHARED + site("a")), Path("/srv/bic"), "bic.toml")
