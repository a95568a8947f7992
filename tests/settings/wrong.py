"""The table of wrong settings files."""

from __future__ import annotations

from tests.settings.good import (
    BLOB,
    CLIENT_SECRET,
    EVERY,
    FOLDER,
    GOOD,
    HOST,
    HOURLY,
    MAIL,
    ROWS,
    SECRET,
    SHARE,
    after,
    changed,
    line,
)

OTHER = "[sites.other]\nhost = 'other.example.com'\nclient_id = 'x'\nclient_secret = 'env:X'\n"

WRONG: dict[str, tuple[str, str, str]] = {
    # what is wrong: (the file, the path, words of the message)
    "nothing at all": ("", "sites", "missing; The appliances"),
    "empty sites": ("sites = {}", "sites", "at least one"),
    "seals nowhere": (GOOD + '[seal]\ndestination = "archiv"', "seal.destination", "is not in [destinations]"),
    "seals as rows": (
        GOOD + '[seal]\ndestination = "rows"',
        "seal.destination",
        "seals are files",
    ),
    "seals with a reference": (GOOD + '[seal]\ndestination = "archive"\nkey = "env:KEY"', "seal.key", "reference to a secret"),
    "a time stamp without certificates": (
        GOOD + '[seal]\ndestination = "archive"\ntime_stamp = "https://tsa.example.com"',
        "seal.time_stamp_ca",
        "both, or neither",
    ),
    "a time stamp from nowhere": (
        GOOD + '[seal]\ndestination = "archive"\ntime_stamp = "tsa"\ntime_stamp_ca = "tsa.pem"',
        "seal.time_stamp",
        "no https URL",
    ),
    "seals without a vault": (
        changed('[key_vault]\nurl = "https://vault.vault.azure.net"', "")
        + '[seal]\ndestination = "archive"\nkey = "keyvault:seal"',
        "seal.key",
        "names a key",
    ),
    "seals with a secret's URL": (
        GOOD + '[seal]\ndestination = "archive"\nkey = "keyvault:https://v.vault.azure.net/secrets/seal"',
        "seal.key",
        "no key of a vault",
    ),
    "a format where seals lie": (
        changed(FOLDER, FOLDER + '\nfile_name_format = "Seals/%LSID%.%EXTENSION%"'),
        "destinations.archive.file_name_format",
        "where sealed days lie",
    ),
    "unknown section": (GOOD + "[site.other]\nhost = 'x'", "site", 'did you mean "sites"?'),
    "unknown key of a site": (after(HOST, "hots = 1"), "sites.support.hots", 'did you mean "host"?'),
    "was itself": (after(HOST, 'was = "support"'), "sites.support.was", "is the name that it has"),
    "was no name": (after(HOST, 'was = "my site"'), "sites.support.was", "is no name"),
    "was one that is there": (
        after(HOST, 'was = "other"') + OTHER,
        "sites.support.was",
        "sites.other is still there",
    ),
    "a destination was one that is there": (
        GOOD.replace("[destinations.archive]", '[destinations.archive]\nwas = "rows"'),
        "destinations.archive.was",
        "destinations.rows is still there",
    ),
    "two were one": (
        after(HOST, 'was = "old"') + OTHER + 'was = "old"',
        "sites.other.was",
        "sites.support was old already",
    ),
    "missing host": (changed(HOST, ""), "sites.support.host", "missing; The appliance's host name"),
    "missing client_id": (changed('client_id = "id"', ""), "sites.support.client_id", "missing"),
    "missing secret": (changed(CLIENT_SECRET, ""), "sites.support.client_secret", "missing"),
    "host with scheme": (changed(HOST, 'host = "https://support.example.com"'), "sites.support.host", "scheme"),
    "host with path": (changed(HOST, 'host = "support.example.com/login"'), "sites.support.host", "and path"),
    "host with user": (changed(HOST, 'host = "me:pw@support.example.com"'), "sites.support.host", "no host name"),
    "host with a dot too many": (changed(HOST, 'host = "support..example.com"'), "sites.support.host", "no host name"),
    "host with bad port": (changed(HOST, 'host = "support.example.com:99999"'), "sites.support.host", "1 to 65535"),
    "host empty": (changed(HOST, 'host = ""'), "sites.support.host", "no host name"),
    "host as number": (changed(HOST, "host = 5"), "sites.support.host", "must be text in quotes"),
    "literal secret": (changed(CLIENT_SECRET, f'client_secret = "{SECRET}"'), "sites.support.client_secret", "env:NAME"),
    "secret as number": (changed(CLIENT_SECRET, "client_secret = 12345678"), "sites.support.client_secret", "must be text"),
    "env without name": (changed(CLIENT_SECRET, 'client_secret = "env:"'), "sites.support.client_secret", "env:NAME"),
    "keyvault without name": (changed(CLIENT_SECRET, 'client_secret = "keyvault:a b"'), "sites.support.client_secret", "letters"),
    "platform's reference": (
        changed(CLIENT_SECRET, 'client_secret = "@Microsoft.KeyVault(VaultName=v;SecretName=n)"'),
        "sites.support.client_secret",
        "Functions platform",
    ),
    "literal backup password": (
        after(HOST, f'backup_password = "{SECRET}"'),
        "sites.support.backup_password",
        "is a secret written out",
    ),
    "site's name": (GOOD + "[sites.'my site']\nhost='x'\nclient_id='x'\nclient_secret='env:X'", 'sites."my site"', "is no name"),
    "name too long": (
        GOOD + f"[sites.{'x' * 41}]\nhost='x'\nclient_id='x'\nclient_secret='env:X'",
        f"sites.{'x' * 41}",
        "at most 40",
    ),
    "site is no table": ('sites.support = "x"', "sites.support", "must be a table"),
    "enabled in quotes": (after(HOST, 'enabled = "true"'), "sites.support.enabled", "true or false"),
    "enabled as number": (after(HOST, "enabled = 1"), "sites.support.enabled", "true or false"),
    "history as number": (after(HOST, "history = 90"), "sites.support.history", "is no duration"),
    "history in months": (after(HOST, 'history = "3 months"'), "sites.support.history", '"3 months" is no duration'),
    "lookback negative": (after(HOST, 'lookback = "-10m"'), "sites.support.lookback", "is no duration"),
    "lookback too long": (after(HOST, 'lookback = "2d"'), "sites.support.lookback", 'from "0s" to "12h"'),
    "second look": (after(HOST, 'second_look = "48 hours"'), "sites.support.second_look", "is no duration"),
    "reconcile days": (after(HOST, "reconcile_days = 0"), "sites.support.reconcile_days", "at least 1"),
    "reconcile days as text": (after(HOST, 'reconcile_days = "7"'), "sites.support.reconcile_days", "whole number"),
    "reconcile days half": (after(HOST, "reconcile_days = 1.5"), "sites.support.reconcile_days", "whole number"),
    "abnormal after": (after(HOST, 'abnormal_after = "0s"'), "sites.support.abnormal_after", "out of range"),
    "no lane": (after(HOST, "max_concurrency = 0"), "sites.support.max_concurrency", "at least 1"),
    "no requests": (after(HOST, "requests_per_second = 0"), "sites.support.requests_per_second", "more than 0"),
    "endless requests": (after(HOST, "requests_per_second = inf"), "sites.support.requests_per_second", "number"),
    "a text that any text holds": (after(HOST, 'texts = { expired = ["  e "] }'), "sites.support.texts.expired[0]", "too short"),
    "texts of another meaning": (
        after(HOST, 'texts = { nothing = ["Keine Daten"] }'),
        "sites.support.texts.nothing",
        "nothing_found",
    ),
    "negative per hour": (after(HOST, "requests_per_hour = -1"), "sites.support.requests_per_hour", "at least 1"),
    "ledger's kind": (
        changed('kind = "sqlite"', 'kind = "postgres"'),
        "ledger.kind",
        '"postgres" is not known; one of sqlite, azure_table',
    ),
    "ledger without kind": (changed('kind = "sqlite"', ""), "ledger.kind", "missing; one of sqlite"),
    "ledger's path empty": (changed('path = "bic-ledger.sqlite"', 'path = ""'), "ledger.path", "is empty"),
    "ledger without account": (
        changed('kind = "sqlite"\npath = "bic-ledger.sqlite"', 'kind = "azure_table"'),
        "ledger.account_url",
        "both missing",
    ),
    "ledger is the database": (
        changed("sqlite:///sessions.sqlite", "sqlite:///./bic-ledger.sqlite"),
        "ledger.path",
        "storage database",
    ),
    "identity's kind": (GOOD + '[identity]\nkind = "password"', "identity.kind", "managed_identity"),
    "identity's secret": (
        GOOD + f'[identity]\nkind = "client_secret"\ntenant_id = "t"\nclient_id = "c"\nclient_secret = "{SECRET}"',
        "identity.client_secret",
        "is a secret written out",
    ),
    "ledger elsewhere": (
        changed('kind = "sqlite"\npath = "bic-ledger.sqlite"', 'kind = "azure_table"\naccount_url = "https://t.example.com"'),
        "ledger.account_url",
        "a token is sent to no other",
    ),
    "vault elsewhere": (changed("vault.vault.azure.net", "vault.example.com"), "key_vault.url", "no host of Azure"),
    "vault's secret behind a backslash": (
        changed(CLIENT_SECRET, r"client_secret = 'keyvault:https://localhost\.vault.azure.net/secrets/x'"),
        "sites.support.client_secret",
        "names no vault secret",
    ),
    "vault by http": (changed("https://vault.vault", "http://vault.vault"), "key_vault.url", "https URL"),
    "vault missing": (
        changed('[key_vault]\nurl = "https://vault.vault.azure.net"', "").replace("env:SECRET", "keyvault:name"),
        "sites.support.client_secret",
        "no vault is configured",
    ),
    "destination's kind": (
        changed('"local_folder"', '"ftp"'),
        "destinations.archive.kind",
        '"ftp" is not known; one of local_folder',
    ),
    "destination without kind": (
        changed('kind = "local_folder"', ""),
        "destinations.archive.kind",
        "missing; one of local_folder",
    ),
    "unknown key of a folder": (after(FOLDER, "tags = true"), "destinations.archive.tags", "unknown key"),
    "folder missing": (changed(FOLDER, ""), "destinations.archive.directory", "missing"),
    "folder on a drive": (changed(FOLDER, r"directory = 'Z:\archive'"), "destinations.archive.directory", "Windows drive"),
    "folder on a share": (changed(FOLDER, r"directory = '\\server\share'"), "destinations.archive.directory", "smb_share"),
    "conflict rule": (after(FOLDER, 'on_conflict = "append"'), "destinations.archive.on_conflict", "'AppendNumber'"),
    "retention negative": (after(FOLDER, "retention_count = -1"), "destinations.archive.retention_count", "at least 0"),
    "retention as truth": (after(FOLDER, "retention_count = true"), "destinations.archive.retention_count", "whole number"),
    "format's value": (
        after(FOLDER, "file_name_format = '%LSIDD%.xml'"),
        "destinations.archive.file_name_format",
        "did you mean %LSID%?",
    ),
    "format in lower case": (
        after(FOLDER, "file_name_format = '%lsid%.xml'"),
        "destinations.archive.file_name_format",
        "did you mean %LSID%?",
    ),
    "format on a drive": (after(FOLDER, "file_name_format = 'C:/%LSID%'"), "destinations.archive.file_name_format", "leaves"),
    "format that climbs": (after(FOLDER, "file_name_format = '../%LSID%'"), "destinations.archive.file_name_format", "leaves"),
    **{
        f"format {text}": (
            after(FOLDER, f"file_name_format = '{text}'"),
            "destinations.archive.file_name_format",
            f"did you mean {meant}?",
        )
        for text, meant in {
            "%LSID%.%EXTENSION": "%EXTENSION%",
            "%LS ID%.xml": "%LSID%",
            "%LSID.%EXTENSION%": "%LSID%",
            "{LSID}.xml": "%LSID%",
            "%External Key%.xml": "%EXTERNAL_KEY%",
            "%DATE%": "%DATA_TYPE%",
            "％LSID％.xml": "%LSID%",
            "${lsid}.xml": "%LSID%",
            "<EXTENSION>": "%EXTENSION%",
        }.items()
    },
    "format with a percent": (
        after(FOLDER, "file_name_format = '100%/%LSID%'"),
        "destinations.archive.file_name_format",
        "one of %LSID%",
    ),
    **{
        f"{what} {typed}": (changed(old, f'{key} = "{typed}"'), path, f"'{meant}'")
        for what, old, key, path, typed, meant in (
            ("folder", FOLDER, "directory", "destinations.archive.directory", r"C:\temp\new", r"C:\temp\new"),
            ("share", SHARE, "directory", "destinations.share.directory", r"\\files\backup\new", r"\\files\backup\new"),
            (
                "rows",
                ROWS,
                "connection_string",
                "destinations.rows.connection_string",
                r"sqlite:///C:\rows.db",
                r"sqlite:///C:\rows.db",
            ),
            ("ledger", 'path = "bic-ledger.sqlite"', "path", "ledger.path", r"D:\new\file", r"D:\new\file"),
        )
    },
    **{
        f"folder {text}": (
            changed(FOLDER, f'directory = "{text}"'),
            "destinations.archive.directory",
            "which only a shell replaces",
        )
        for text in ("~/archive", "~", "$HOME/archive", "${HOME}/archive", "%USERPROFILE%/archive")
    },
    "user in double quotes": (
        after(SHARE, r'username = "EXAMPLE\bob"', "password = 'env:X'"),
        "destinations.share.username",
        r"single quotes, 'EXAMPLE\bob'",
    ),
    "folder with a line break": (
        changed(FOLDER, 'directory = "archive\\n"'),
        "destinations.archive.directory",
        "holds a line break",
    ),
    "folder with a blank": (
        changed(FOLDER, 'directory = "archive "'),
        "destinations.archive.directory",
        "begins or ends with a blank",
    ),
    "folder with a mark": (changed(FOLDER, 'directory = "\ufeffarchive"'), "destinations.archive.directory", "a byte order mark"),
    "client id with a line break": (
        changed('client_id = "id"', 'client_id = "id\\n"'),
        "sites.support.client_id",
        "a line break",
    ),
    "variable in braces": (
        changed(CLIENT_SECRET, 'client_secret = "env:{site}_SECRET"'),
        "sites.support.client_secret",
        "env:NAME",
    ),
    "variable as on Windows": (
        changed(CLIENT_SECRET, 'client_secret = "env:%SECRET%"'),
        "sites.support.client_secret",
        "env:NAME",
    ),
    "format empty": (after(FOLDER, "file_name_format = ''"), "destinations.archive.file_name_format", "no file name"),
    "format per type": (
        after(FOLDER, "file_name_format = { sessions = '%SESSION%' }"),
        "destinations.archive.file_name_format.sessions",
        "%SESSION% is no value",
    ),
    "format of unknown type": (
        after(FOLDER, "file_name_format = { recordings = '%LSID%' }"),
        "destinations.archive.file_name_format.recordings",
        "'session_recordings'",
    ),
    "format as number": (after(FOLDER, "file_name_format = 5"), "destinations.archive.file_name_format", "must be text"),
    "nested folders": (
        GOOD + "[destinations.inner]\nkind = 'local_folder'\ndirectory = 'archive/deep'",
        "destinations.inner.directory",
        "lies within destinations.archive",
    ),
    "same folder": (
        GOOD + "[destinations.twin]\nkind = 'local_folder'\ndirectory = 'x/../archive'",
        "destinations.twin.directory",
        "same place as destinations.archive",
    ),
    "folder around": (
        GOOD + "[destinations.outer]\nkind = 'local_folder'\ndirectory = '.'",
        "destinations.outer.directory",
        "overlaps with destinations.archive",
    ),
    "same share": (
        GOOD + "[destinations.twin]\nkind = 'smb_share'\ndirectory = '//FILES.example.com/Support/archive/x'",
        "destinations.twin.directory",
        "lies within destinations.share",
    ),
    "same container": (
        after(SHARE, "[destinations.twin]", 'kind = "azure_blob"', BLOB),
        "destinations.twin.directory",
        "same place",
    ),
    "same database": (
        after(ROWS, "[destinations.twin]", 'kind = "sql_database"', ROWS),
        "destinations.twin.connection_string",
        "same place",
    ),
    "share on a drive": (changed(SHARE, r"directory = 'S:\archive'"), "destinations.share.directory", "mapped drives"),
    "share as a path": (changed(SHARE, "directory = '/mnt/share'"), "destinations.share.directory", "no UNC path"),
    "share without password": (after(SHARE, "username = 'svc'"), "destinations.share.password", "missing"),
    "share without user": (after(SHARE, "password = 'env:P'"), "destinations.share.username", "missing"),
    "share's literal password": (
        after(SHARE, "username = 'svc'", f"password = '{SECRET}'"),
        "destinations.share.password",
        "a secret",
    ),
    **{
        f"share at {server}": (changed(SHARE, f"directory = '//{server}/share'"), "destinations.share.directory", "is no server")
        for server in ("files:445", "[::1]", "?", "files@SSL", "bob@files")
    },
    **{
        f"folder {folder}": (changed(FOLDER, f"directory = '{folder}'"), "destinations.archive.directory", right)
        for folder, right in {
            "C:data": "Windows drive",
            r"archive\old": 'separated by "/"',
            '"archive"': "stands in quotes",
            "file:///data": "a path, as",
            "smb://files/share": "a path, as",
            "arc\u00a0hive": "a blank that does not break",
        }.items()
    },
    **{
        f"blob at {url}": (changed(BLOB, f'container_url = "https://{url}"'), "destinations.blob.container_url", right)
        for url, right in {
            "acct-secondary.blob.core.windows.net/sessions": '"acct.blob.core.windows.net"',
            "acct.privatelink.blob.core.windows.net/sessions": '"acct.blob.core.windows.net"',
            "acct.blob.core.windows.net//sessions": "an empty step",
            "acct.blob.core.windows.net/Sessions": "lower-case letters",
            "acct.blob.core.windows.net/$logs": "lower-case letters",
        }.items()
    },
    "blob's folder with a gap": (after(BLOB, 'directory = "a//b"'), "destinations.blob.directory", "no folder within"),
    "a zone in small letters": (
        changed(HOURLY, 'every = "1d"\nat = "02:30"\ntime_zone = "europe/berlin"\n' + HOURLY).replace('every = "1h"', ""),
        "schedules.hourly.time_zone",
        'did you mean "Europe/Berlin"?',
    ),
    "blob without place": (changed(BLOB, ""), "destinations.blob.container_url", "both missing"),
    "blob with both": (after(BLOB, 'connection = "env:C"', 'container = "abc"'), "destinations.blob.container_url", "both there"),
    "blob without container": (changed(BLOB, 'connection = "env:C"'), "destinations.blob.container", "missing"),
    "blob with a container twice": (after(BLOB, 'container = "abc"'), "destinations.blob.container", "already in"),
    "blob's signed URL": (
        changed(BLOB, f'container_url = "https://a.blob.core.windows.net/c?sig={SECRET}"'),
        "destinations.blob.container_url",
        "signature",
    ),
    "blob with a folder in its URL": (
        changed(BLOB, 'container_url = "https://a.blob.core.windows.net/sessions/sub/dir/"'),
        "destinations.blob.container_url",
        'container_url = "https://a.blob.core.windows.net/sessions", directory = "sub/dir"',
    ),
    "an emulator's container with a folder": (
        changed(BLOB, 'container_url = "https://127.0.0.1:10000/devstoreaccount1/sessions/sub"'),
        "destinations.blob.container_url",
        'container_url = "https://127.0.0.1:10000/devstoreaccount1/sessions", directory = "sub"',
    ),
    "an account without a container": (
        changed(BLOB, 'container_url = "https://a.blob.core.windows.net/"'),
        "destinations.blob.container_url",
        "without a container",
    ),
    "an emulator's account alone": (
        changed(BLOB, 'container_url = "https://localhost:10000/devstoreaccount1"'),
        "destinations.blob.container_url",
        "without a container",
    ),
    "a container that can't be": (
        changed(BLOB, 'container_url = "https://a.blob.core.windows.net/My_Sessions"'),
        "destinations.blob.container_url",
        "names no container",
    ),
    "blob elsewhere": (
        changed(BLOB, 'container_url = "https://files.example.com/c"'),
        "destinations.blob.container_url",
        "connection",
    ),
    "blob behind a backslash": (
        changed(BLOB, r"container_url = 'https://example.com\.blob.core.windows.net/c'"),
        "destinations.blob.container_url",
        "no host of Azure",
    ),
    "blob at a table's host": (changed(BLOB, BLOB.replace(".blob.", ".table.")), "destinations.blob.container_url", "no host"),
    "blob by http": (changed(BLOB, 'container_url = "http://a.b/c"'), "destinations.blob.container_url", "https"),
    "blob's literal connection": (
        changed(BLOB, f'connection = "AccountName=a;AccountKey={SECRET}"\ncontainer = "abc"'),
        "destinations.blob.connection",
        "is a secret written out",
    ),
    "blob's directory": (after(BLOB, 'directory = "/x"'), "destinations.blob.directory", "no folder within"),
    "rows with password": (
        changed("sqlite:///sessions.sqlite", f"DRIVER=x;SERVER=y;UID=z;PWD={SECRET}"),
        "destinations.rows.connection_string",
        "credentials",
    ),
    "rows with password in a URL": (
        changed("sqlite:///sessions.sqlite", f"mssql+pyodbc://me:{SECRET}@server/db"),
        "destinations.rows.connection_string",
        "credentials",
    ),
    "rows with password in a query": (
        changed("sqlite:///sessions.sqlite", f"mssql+pyodbc:///?odbc_connect=SERVER%3Dy%3BPWD%3D{SECRET}"),
        "destinations.rows.connection_string",
        "credentials",
    ),
    "rows with a slash in the password": (
        changed("sqlite:///sessions.sqlite", "mssql+pyodbc://sa:hunter2/very-secret@server/db"),
        "destinations.rows.connection_string",
        "credentials",
    ),
    "rows with a password encoded twice": (
        changed("sqlite:///sessions.sqlite", f"mssql+pyodbc://server/db?odbc_connect=DRIVER%253Dx%253B+PWD%2520%253D{SECRET}"),
        "destinations.rows.connection_string",
        "credentials",
    ),
    "rows in another database": (
        changed("sqlite:///sessions.sqlite", "mysql://server/db"),
        "destinations.rows.connection_string",
        "SQLite",
    ),
    "rows in memory": (changed("sqlite:///sessions.sqlite", "sqlite://"), "destinations.rows.connection_string", "in memory"),
    "rows with a format": (after(ROWS, "file_name_format = 'x'"), "destinations.rows.file_name_format", "unknown key"),
    "system information": (
        after(ROWS, "store_system_information = 'yes'"),
        "destinations.rows.store_system_information",
        "true or false",
    ),
    **{
        f"share {share}": (changed('share = "5%"', f"share = {share}"), "verify.share", "no percentage; more than 0, at most 100")
        for share in ('"0%"', '"101%"', '"5 of 100"', '""', '"-5%"', '"nan%"', '"1e1%"', "5", "0.05")
    },
    "verify every minute": (changed('every = "1d"', 'every = "1m"'), "verify.every", 'from "1h" to "30d"'),
    "verify's key": (changed('share = "5%"', 'shares = "5%"'), "verify.shares", 'did you mean "share"?'),
    "every missing": (changed(EVERY, ""), "schedules.hourly.every", "missing"),
    "every too short": (changed(EVERY, 'every = "30s"'), "schedules.hourly.every", '"30s" is out of range; from "1m" to "7d"'),
    "every too long": (changed(EVERY, 'every = "8d"'), "schedules.hourly.every", "out of range"),
    "every as number": (changed(EVERY, "every = 60"), "schedules.hourly.every", "is no duration"),
    "every in words": (changed(EVERY, 'every = "hourly"'), "schedules.hourly.every", '"hourly" is no duration'),
    "at with hours": (after(EVERY, 'at = "02:30"'), "schedules.hourly.at", "whole days only"),
    "at with 36 hours": (changed(EVERY, 'every = "36h"\nat = "02:30"'), "schedules.hourly.at", "whole days only"),
    "at out of range": (changed(EVERY, 'every = "1d"\nat = "25:00"'), "schedules.hourly.at", '"25:00" is no time of day'),
    "at unquoted": (changed(EVERY, 'every = "1d"\nat = 02:30:00'), "schedules.hourly.at", "in quotes"),
    "time zone": (
        after(EVERY, 'time_zone = "Europe/Atlantis"'),
        "schedules.hourly.time_zone",
        '"Europe/Atlantis" is no time zone',
    ),
    "Windows' time zone": (
        after(EVERY, 'time_zone = "W. Europe Standard Time"'),
        "schedules.hourly.time_zone",
        "Windows calls it so",
    ),
    "offset": (after(EVERY, 'time_zone = "GMT+1"'), "schedules.hourly.time_zone", "it is an offset"),
    "time zone's folder": (after(EVERY, 'time_zone = "Europe"'), "schedules.hourly.time_zone", "is no time zone"),
    "time zone outside": (after(EVERY, 'time_zone = "../etc/passwd"'), "schedules.hourly.time_zone", "is no time zone"),
    "no transfers": (changed(HOURLY, "transfers = []"), "schedules.hourly.transfers", "at least one"),
    "transfers as table": (changed(HOURLY, 'transfers = { site = "support" }'), "schedules.hourly.transfers", "must be a list"),
    "unknown site": (line('["sessions"]', site="suport"), "schedules.hourly.transfers[0].site", 'did you mean "support"?'),
    "unknown destination": (
        line('["sessions"]', destination="zzz"),
        "schedules.hourly.transfers[0].destination",
        "known here: archive",
    ),
    "unknown data": (line('["sesions"]'), "schedules.hourly.transfers[0].data[0]", '"sesions" is not known'),
    "no data": (line("[]"), "schedules.hourly.transfers[0].data", "at least one"),
    "data as text": (line('"sessions"'), "schedules.hourly.transfers[0].data", "must be a list"),
    "data twice": (line('["sessions", "sessions"]'), "schedules.hourly.transfers[0].data[1]", "already in"),
    "recordings as rows": (
        line('["sessions", "session_recordings"]', destination="rows"),
        "schedules.hourly.transfers[0].data[1]",
        "sessions only",
    ),
    "presentations as rows": (
        line('["presentations"]', destination="rows"),
        "schedules.hourly.transfers[0].data[0]",
        "sql_database",
    ),
    "backups as rows": (line('["site_backups"]', destination="rows"), "schedules.hourly.transfers[0].data[0]", "sql_database"),
    "open sessions": (
        line('["sessions"]', more=', open_sessions = "maybe"'),
        "schedules.hourly.transfers[0].open_sessions",
        "'wait' or 'deliver'",
    ),
    "unknown key of a transfer": (
        line('["sessions"]', more=", sites = []"),
        "schedules.hourly.transfers[0].sites",
        "did you mean",
    ),
    "stream twice": (
        changed(HOURLY, HOURLY[:-1] + ', { site = "support", destination = "archive", data = ["sessions"] }]'),
        "schedules.hourly.transfers[1].data[0]",
        "already in schedules.hourly.transfers[0]",
    ),
    "mail host with scheme": (changed(MAIL, 'host = "smtp://mail"'), "notifications.smtp.host", "scheme"),
    "mail host with port": (changed(MAIL, 'host = "mail:25"'), "notifications.smtp.host", 'the port as "port"'),
    "mail port": (after(MAIL, "port = 70000"), "notifications.smtp.port", "at most 65535"),
    "mail security": (after(MAIL, 'security = "ssl"'), "notifications.smtp.security", "'starttls'"),
    "mail without sender": (changed('from = "bic@example.com"', ""), "notifications.smtp.from", "missing"),
    "mail address": (changed('"ops@example.com"', '"ops"'), "notifications.smtp.to[0]", "no mail address"),
    "mail to nobody": (changed('["ops@example.com"]', "[]"), "notifications.smtp.to", "at least one"),
    "mail's literal password": (
        after(MAIL, 'username = "u"', f'password = "{SECRET}"'),
        "notifications.smtp.password",
        "is a secret written out",
    ),
    "channel written out": (
        GOOD + f"[notifications.channels]\nurls = ['jsons://{SECRET}@example.com']",
        "notifications.channels.urls[0]",
        "is a secret written out",
    ),
    "no channels": (GOOD + "[notifications.channels]\nurls = []", "notifications.channels.urls", "at least one"),
    "one channel twice": (
        GOOD + "[notifications.channels]\nurls = ['env:OPS', 'env:OPS']",
        "notifications.channels.urls",
        "names one twice",
    ),
    "heartbeat written out": (
        GOOD + f"[notifications.heartbeat]\nurl = 'https://hc.example.com/{SECRET}'",
        "notifications.heartbeat.url",
        "is a secret written out",
    ),
    "heartbeat without url": (
        GOOD + "[notifications.heartbeat]\nurl_failing = 'env:ILL'",
        "notifications.heartbeat.url",
        "missing",
    ),
    "notified by pigeon": (GOOD + "[notifications.pigeon]\nname = 'x'", "notifications.pigeon", "unknown key"),
    "log format": (after('directory = "logs"', 'format = "xml"'), "logs.format", "'text' or 'json'"),
    "log days": (after('directory = "logs"', "keep_days = 0"), "logs.keep_days", "at least 1"),
}
