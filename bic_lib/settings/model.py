"""The sections of `bic.toml` as pydantic models (docs/design.md 5): the one declaration for parsing, JSON Schema and docs.

Only single values are checked here; what contradicts each other is in :mod:`bic_lib.settings.checks`. A field's description is
its line in docs/settings.md.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from bic_lib.core.model import DAY, DataType, OnConflict, OpenSessions
from bic_lib.settings import spelling
from bic_lib.settings.spelling import each_once, not_empty
from bic_lib.settings.times import within


class Section(BaseModel):
    """A table of the settings file: TOML's own types, nothing converted, no unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


DataTypeName = Annotated[DataType, Field(strict=False)]


# --- [ledger] --------------------------------------------------------------------------------------------------------


class SqliteLedger(Section):
    """The ledger in one file: for one machine, any number of processes."""

    kind: Literal["sqlite"] = Field(description="The ledger in a file.")
    path: spelling.LocalFile = Field(default="bic-ledger.sqlite", description="The file; on a local disk, not on a share.")


class AzureTableLedger(Section):
    """The ledger in Azure Tables: for any number of instances. Give `connection` or `account_url`."""

    kind: Literal["azure_table"] = Field(description="The ledger in Azure Tables.")
    connection: spelling.StorageConnection | None = Field(default=None, description="Reference to a storage connection string.")
    account_url: spelling.TableUrl | None = Field(
        default=None, description="The account's table endpoint, entered by [identity]; instead of `connection`."
    )
    prefix: spelling.TablePrefix = Field(default="bic", description="What the tables' names begin with.")


Ledger = Annotated[SqliteLedger | AzureTableLedger, Field(discriminator="kind")]


# --- [identity], [key_vault] -----------------------------------------------------------------------------------------


class ManagedIdentity(Section):
    """The identity that the platform gives to the app."""

    kind: Literal["managed_identity"] = Field(description="The platform's managed identity.")
    client_id: spelling.PlainOrReference | None = Field(
        default=None, description="Client id of a user-assigned identity; left out: the system-assigned one."
    )


class ClientSecretIdentity(Section):
    """An app registration with a secret."""

    kind: Literal["client_secret"] = Field(description="An app registration with a secret.")
    tenant_id: spelling.PlainOrReference = Field(description="The Entra tenant.")
    client_id: spelling.PlainOrReference = Field(description="The app registration's client id.")
    client_secret: spelling.SecretReference = Field(description="Its secret: `env:NAME` or `keyvault:NAME`.")


class CertificateIdentity(Section):
    """An app registration with a certificate."""

    kind: Literal["certificate"] = Field(description="An app registration with a certificate.")
    tenant_id: spelling.PlainOrReference = Field(description="The Entra tenant.")
    client_id: spelling.PlainOrReference = Field(description="The app registration's client id.")
    certificate_file: spelling.LocalFile = Field(description="PEM file with certificate and private key.")
    password: spelling.SecretReference | None = Field(default=None, description="The private key's password, where it has one.")


class AzureCliIdentity(Section):
    """The login of a developer's machine (`az login`)."""

    kind: Literal["azure_cli"] = Field(description="The Azure CLI's login on this machine.")
    tenant_id: spelling.PlainOrReference | None = Field(default=None, description="The Entra tenant; left out: the CLI's own.")


Identity = Annotated[
    ManagedIdentity | ClientSecretIdentity | CertificateIdentity | AzureCliIdentity,
    Field(discriminator="kind"),
]


class KeyVault(Section):
    """The vault that `keyvault:NAME` means."""

    url: spelling.VaultUrl = Field(description="The vault's URL.")


# --- [sites.NAME] ----------------------------------------------------------------------------------------------------


SiteTexts = Annotated[tuple[spelling.SiteText, ...], Field(strict=False)]


class TextsSettings(Section):
    """A site's own words, in addition to those that bic knows; each is looked for in what the appliance says, whatever its case.

    What says that nothing was found is learned, too, where the site's other answers leave no doubt (docs/troubleshooting.md).
    """

    nothing_found: SiteTexts = Field(default=(), description="No session matches; nothing is missed by it.")
    expired: SiteTexts = Field(default=(), description="A recording is gone for good; it is not asked for again.")
    not_ready: SiteTexts = Field(default=(), description="A recording is still being made; it is asked for later.")
    none: SiteTexts = Field(default=(), description="There never was a recording; it is not asked for again.")


_WAS = "The name that it had before: it takes over all that the ledger knows of that one, once."


class SiteSettings(Section):
    """One appliance and how politely it is asked."""

    host: spelling.Host = Field(description="The appliance's host name, with `:port` if it isn't 443; no scheme.")
    client_id: spelling.PlainOrReference = Field(description="The API account's client id.")
    client_secret: spelling.SecretReference = Field(description="The API account's secret: `env:NAME` or `keyvault:NAME`.")
    backup_password: spelling.SecretReference | None = Field(
        default=None, description="Password that backups are encrypted with."
    )
    ca_file: spelling.LocalFile | None = Field(default=None, description="PEM file of a private certificate authority.")
    enabled: bool = Field(default=True, description="`false`: nothing is fetched from this site, nor imported for it.")
    history: Annotated[spelling.Duration, within("1m", "3650d")] = Field(
        default=90 * DAY, description="How far back a new stream begins; 1m … 3650d."
    )
    keeps: Annotated[spelling.Duration, within("1d", "3650d")] = Field(
        default=90 * DAY, description="How long this appliance keeps what happened: bic warns before, gives up after; 1d … 3650d."
    )
    lookback: Annotated[spelling.Duration, within("0s", "12h")] = Field(
        default=600, description="How far each window reaches back before the watermark; 0s … 12h."
    )
    second_look: Annotated[spelling.Duration, within("0s", "30d")] = Field(
        default=2 * DAY, description="How much of what had ended is read again daily, for late changes; 0s … 30d."
    )
    reconcile_days: int = Field(default=7, ge=1, le=365, description="Days that the daily reconcile pass lists; 1 … 365.")
    abnormal_after: Annotated[spelling.Duration, within("1m", "365d")] = Field(
        default=2 * DAY, description="A session without an end is declared abnormally ended this long after its start; 1m … 365d."
    )
    max_concurrency: int = Field(default=2, ge=1, le=20, description="Lanes: how many calls at once; 1 … 20.")
    requests_per_second: float = Field(
        default=10, gt=0, le=1_000, description="Over all lanes. The appliance allows 20 per account."
    )
    requests_per_hour: int = Field(
        default=12_000, ge=1, le=1_000_000, description="Over all lanes. The appliance allows 15,000 per account."
    )
    texts: TextsSettings | None = Field(default=None, description="What the appliance says in its own language.")
    was: spelling.Name | None = Field(default=None, description=_WAS)


# --- [destinations.NAME] ---------------------------------------------------------------------------------------------


def _format_shape(value: object) -> str:
    return "each" if isinstance(value, dict) else "one"


FileNameFormats = Annotated[
    Annotated[spelling.FileNameFormat, Tag("one")] | Annotated[dict[DataTypeName, spelling.FileNameFormat], Tag("each")],
    Discriminator(_format_shape),
]


class FileDestination(Section):
    """What all places for files share."""

    file_name_format: FileNameFormats | None = Field(
        default=None,
        description="One format for all data types, or a table with one per data type; left out: see docs/destinations.md.",
    )
    on_conflict: Annotated[OnConflict, Field(strict=False)] = Field(
        default=OnConflict.APPEND_NUMBER, description="What happens when a file's name is taken."
    )
    retention_count: int | None = Field(
        default=None, ge=0, description="Good backups kept before the newest good one, per site; left out: all are kept."
    )

    was: spelling.Name | None = Field(default=None, description=_WAS)

    def formats(self) -> dict[DataType, str]:
        """The configured format of each data type; without an entry the default of :mod:`bic_lib.core.naming` counts."""
        if isinstance(self.file_name_format, str):
            return dict.fromkeys(DataType, self.file_name_format)
        return dict(self.file_name_format or {})


class LocalFolderSettings(FileDestination):
    """A folder of this machine."""

    kind: Literal["local_folder"] = Field(description="A folder of this machine.")
    directory: spelling.LocalDirectory = Field(description="The folder; made when it is not there.")


class AzureBlobSettings(FileDestination):
    """A blob container. Give `container_url`, or `connection` and `container`."""

    kind: Literal["azure_blob"] = Field(description="A blob container.")
    container_url: spelling.BlobUrl | None = Field(default=None, description="The container, entered by [identity].")
    connection: spelling.StorageConnection | None = Field(default=None, description="Reference to a storage connection string.")
    container: spelling.ContainerName | None = Field(default=None, description="The container's name; with `connection` only.")
    directory: spelling.BlobDirectory = Field(default="", description="Folder within the container.")
    tags: bool = Field(default=False, description="Also write blob tags; the identity needs the right to.")


class SmbShareSettings(FileDestination):
    """A folder of a Windows or Samba share."""

    kind: Literal["smb_share"] = Field(description="A folder of a share.")
    directory: spelling.UncPath = Field(description="The folder's UNC path; no mapped drive.")
    port: int = Field(default=445, ge=1, le=65_535, description="The server's port.")
    username: spelling.PlainOrReference | None = Field(
        default=None, description="Who enters, with domain where needed; left out: the process's own account."
    )
    password: spelling.SecretReference | None = Field(default=None, description="The user's password.")


class SqlDatabaseSettings(Section):
    """Rows in SQLite, SQL Server or Azure SQL; sessions only."""

    kind: Literal["sql_database"] = Field(description="Rows of a database; takes `sessions` only.")
    connection_string: spelling.ConnectionString = Field(
        description="SQLAlchemy URL or ODBC connection string; with a password in it only as a reference."
    )
    store_system_information: bool = Field(default=True, description="`false`: the table `system_information` stays empty.")
    load_every: Annotated[spelling.Duration, within("1m", "7d")] | None = Field(
        default=None,
        description="Sessions are loaded that often, 1m … 7d, and nothing connects in between; default: with each run.",
    )
    was: spelling.Name | None = Field(default=None, description=_WAS)


Destination = Annotated[
    LocalFolderSettings | AzureBlobSettings | SmbShareSettings | SqlDatabaseSettings,
    Field(discriminator="kind"),
]


# --- [schedules.NAME] ------------------------------------------------------------------------------------------------


class TransferSettings(Section):
    """One line of a schedule: what goes from one site to one destination."""

    site: spelling.SiteChoice = Field(description='A name under [sites]; `"*"`: every enabled site.')
    destination: spelling.Name = Field(description="A name under [destinations].")
    data: Annotated[tuple[DataTypeName, ...], Field(strict=False), not_empty] = Field(description="Data types.")
    open_sessions: Annotated[OpenSessions, Field(strict=False)] = Field(
        default=OpenSessions.WAIT, description="Sessions without an end: `wait` for it, or `deliver` and replace later."
    )


class ScheduleSettings(Section):
    """Every …, these transfers."""

    every: Annotated[spelling.Duration, within("1m", "7d")] = Field(description="Time from one run to the next; 1m … 7d.")
    at: spelling.ClockTime | None = Field(default=None, description="Time of day; only where `every` is whole days.")
    time_zone: spelling.TimeZone = Field(default="UTC", description="What `at` is meant in.")
    enabled: bool = Field(default=True, description="`false`: never due by itself.")
    transfers: Annotated[tuple[TransferSettings, ...], Field(strict=False), not_empty] = Field(
        description="The schedule's transfers."
    )


# --- [notifications], [logs] -----------------------------------------------------------------------------------------


class Security(StrEnum):
    """How the mail server is spoken to."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class SmtpSettings(Section):
    """Where notices are mailed to."""

    host: spelling.MailHost = Field(description="The mail server.")
    port: int | None = Field(default=None, ge=1, le=65_535, description="Left out: 587 for starttls, 465 for tls, 25 for none.")
    security: Annotated[Security, Field(strict=False)] = Field(
        default=Security.STARTTLS, description="How the connection is secured."
    )
    username: spelling.PlainOrReference | None = Field(default=None, description="Login, where the server wants one.")
    password: spelling.SecretReference | None = Field(default=None, description="The login's password.")
    sender: spelling.MailAddress = Field(alias="from", description="The sender's address.")
    to: Annotated[tuple[spelling.MailAddress, ...], Field(strict=False), not_empty] = Field(description="Who is written to.")

    @property
    def effective_port(self) -> int:
        return self.port or {Security.STARTTLS: 587, Security.TLS: 465, Security.NONE: 25}[self.security]


class ChannelSettings(Section):
    """Where else notices go: Teams, Slack, webhooks … by the library Apprise, each URL by itself."""

    urls: Annotated[tuple[spelling.SecretReference, ...], Field(strict=False), not_empty, each_once] = Field(
        description="References to URLs as Apprise spells them; of its kinds those that send by HTTPS, or by mail over TLS."
    )


class HeartbeatSettings(Section):
    """A URL that is asked (GET) once a minute while all is well, so that somebody else notices when bic is silent."""

    url: spelling.SecretReference = Field(description="Reference to the URL that is asked while health is well.")
    url_failing: spelling.SecretReference | None = Field(
        default=None, description="Reference to the URL that is asked while health is ill; left out: then nothing is asked."
    )


class Notifications(Section):
    """Ways by which notices leave."""

    smtp: SmtpSettings | None = Field(default=None, description="By mail.")
    channels: ChannelSettings | None = Field(default=None, description="By other services.")
    heartbeat: HeartbeatSettings | None = Field(default=None, description="By silence, when there is none any more.")


class SealSettings(Section):
    """Sealed days: each day's list of what was stored, signed and chained (docs/evidence.md). Left out: nothing is sealed."""

    destination: spelling.Name = Field(description="A destination for files; `seals/` below its root holds the seals.")
    key: spelling.SealKey = Field(
        default="seal-key.pem",
        description="The private key's file, made by `bic seal init`; or `keyvault:KEY`, which signs in the vault. On P-256.",
    )

    time_stamp: spelling.WebUrl | None = Field(
        default=None, description="URL of a time-stamping authority (RFC 3161), which is asked for a token of each statement."
    )
    time_stamp_ca: spelling.LocalFile | None = Field(
        default=None, description="PEM file with the certificates that the authority's own leads to; with `time_stamp`."
    )


class LogSettings(Section):
    """Log files, a file a day for each of the two loggers. Without this section no files are written."""

    directory: spelling.LocalDirectory = Field(default="logs", description="Folder of the files.")
    keep_days: int = Field(default=30, ge=1, le=3_650, description="Older files are removed; 1 … 3650.")
    format: Literal["text", "json"] = Field(default="text", description="One line of text, or one JSON object, a record.")


class VerifySettings(Section):
    """What is stored is read again by itself, a share at a time, the oldest check first. Left out: only `bic verify` reads it."""

    share: spelling.Share = Field(
        default=0.05, description="How much of what each destination holds, each time; of sealed days once a day."
    )
    every: Annotated[spelling.Duration, within("1h", "30d")] = Field(
        default=DAY, description="Time from one share to the next; 1h … 30d."
    )


class PagesSettings(Section):
    """Who may see what in the pages, by the HTTP routes and in what is exported; each reading is logged."""

    files: Literal["nobody", "operators"] = Field(
        default="nobody", description="Who may take stored files out; `operators` have the page key, or the app role `bic.files`."
    )
    contents: Literal["nobody", "operators", "viewers"] = Field(
        default="operators", description="Who may read chats and documents; `viewers` have the view key."
    )


# --- the whole file --------------------------------------------------------------------------------------------------


class File(Section):
    """The settings file."""

    include: Annotated[tuple[spelling.Text, ...], Field(strict=False)] = Field(
        default=(), description='Files with more [sites.*], [destinations.*], [schedules.*], such as `["sites.d/*.toml"]`.'
    )
    ledger: Ledger = Field(
        default_factory=lambda: SqliteLedger(kind="sqlite"), description="Where it is kept what is due, done and proven."
    )
    identity: Identity | None = Field(
        None,
        description="How Azure is entered; left out: the managed identity, or on a developer's machine the Azure CLI's login.",
    )
    key_vault: KeyVault | None = Field(default=None, description="The vault that `keyvault:NAME` means.")
    site_defaults: dict[str, Any] | None = Field(
        default=None, description="Keys of [sites.NAME] that count in each site which doesn't say otherwise."
    )
    destination_defaults: dict[str, Any] | None = Field(
        default=None,
        description="Keys of [destinations.NAME] that count in each whose kind has them and which doesn't say otherwise.",
    )
    sites: Annotated[dict[spelling.Name, SiteSettings], Field(min_length=1)] = Field(description="The appliances, by name.")
    destinations: dict[spelling.Name, Destination] = Field(default={}, description="Where data go, by name.")
    schedules: dict[spelling.Name, ScheduleSettings] = Field(default={}, description="What goes when, by name.")
    notifications: Notifications = Field(default_factory=Notifications, description="Who is told.")
    seal: SealSettings | None = Field(default=None, description="Sealed days.")
    verify: VerifySettings | None = Field(default=None, description="What is stored is read again, a share at a time.")
    pages: PagesSettings = Field(default_factory=PagesSettings, description="Who may see what in the pages.")
    logs: LogSettings | None = Field(default=None, description="Log files.")
