"""The sessions that a stored file holds."""

from __future__ import annotations

from collections.abc import Iterable

from bic_lib.core.errors import BicError
from bic_lib.core.model import BrokenDocument, Document


def read_document(content: bytes) -> Iterable[Document | BrokenDocument]:
    """The sessions of a stored file, one by one. Raises BicError for what is none, at once or while iterating."""
    from bic_lib.appliance import session_documents, stored_text  # noqa: PLC0415

    stored_text.demand_xml(content)
    return session_documents.documents(iter([stored_text.in_utf8(content)]), as_of=None)


def identify(content: bytes) -> Iterable[tuple[str, str]]:
    """The (lsid, fingerprint) of each session in a file's content; none when it is no session XML."""
    try:
        return [(document.lsid, document.fingerprint) for document in read_document(content) if isinstance(document, Document)]
    except BicError:
        return []
