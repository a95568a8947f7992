"""What a package that brings a destination of its own builds on: the one module of bic that it imports (docs/plug-ins.md).

What is here stays. Where something must go, `API` grows, and a plug-in that needs it is a settings problem naming the package.
A method that a later version adds to a port has a default there ("this kind can't"), so that an older adapter goes on as it is.
"""

from bic_lib.core.errors import DestinationError, NotAdmitted, Unexpected, Unsupported
from bic_lib.core.model import Document, Outcome, State
from bic_lib.core.ports.files import FileEntry, FileStore, Found, Recovered, Staging, Stamp
from bic_lib.core.ports.preflight import Check
from bic_lib.core.ports.tables import Loaded, TableDestination
from bic_lib.destinations import local_folder
from bic_lib.settings.model import FileDestination, Section
from bic_lib.settings.plug_ins import API

__all__ = [
    "API",
    "Check",
    "DestinationError",
    "Document",
    "FileDestination",
    "FileEntry",
    "FileStore",
    "Found",
    "Loaded",
    "LocalFolder",
    "NotAdmitted",
    "Outcome",
    "Recovered",
    "Section",
    "Staging",
    "Stamp",
    "State",
    "TableDestination",
    "Unexpected",
    "Unsupported",
]


class LocalFolder(local_folder.LocalFolder):
    """A folder to build on: each small file goes through `put`, whatever is made of that."""

    put_all = FileStore.put_all
    read_from = FileStore.read_from
