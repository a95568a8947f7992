"""The folder of a chain, `seals/<ledger id>/`: what is published there never replaces anything.

What is about to be published stands in the ledger first, by its digests. Somebody else's bytes under a name of ours are left as
they are, and named; they are never signed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from bic_lib.core.health import Severity
from bic_lib.core.ports.files import Stamp
from bic_lib.evidence import names
from bic_lib.evidence.keys import Signer
from bic_lib.evidence.making import Part, Seal
from bic_lib.evidence.setup import Setup
from bic_lib.evidence.statement import digest
from bic_lib.ledger import Ledger
from bic_lib.ledger.leases import Lease
from bic_lib.ledger.troubles import Trouble

_AT_ONCE = 1 << 20
"""Bytes of a list that are put at once; a longer one is staged piece by piece."""


class Folder:
    """It, for whoever has the chain in hand. `check` is called before each thing that is written; what it raises ends that."""

    def __init__(self, ledger: Ledger, setup: Setup, lease: Lease, check: Callable[[], None] = lambda: None) -> None:
        self.ledger = ledger
        self.setup = setup
        self.lease = lease
        self.check = check
        self.store = setup.store()
        self.path = f"{names.SEALS}/{lease.body['ledger']}/"

    def content(self, name: str) -> bytes | None:
        """A file whole; None where there is none. Raises DestinationError."""
        try:
            return b"".join(self.store.read(self.path + name))
        except FileNotFoundError:
            return None

    def sum_of(self, name: str) -> str:
        """The SHA-256 of a file; empty where there is none. Raises DestinationError."""
        digest = hashlib.sha256()
        try:
            for chunk in self.store.read(self.path + name):
                digest.update(chunk)
        except FileNotFoundError:
            return ""
        return digest.hexdigest()

    def put(self, name: str, fits: Callable[[bytes], bool], content: bytes) -> bool:
        """Publish a small file; whether what lies under its name then is right. Raises DestinationError, ClaimLost."""
        self._demand()
        if self.store.put(self.path + name, content, replace=False):
            return True
        there = self.content(name)
        if there is not None and fits(there):
            return True
        self.is_foreign(name, digest(there or b""))
        return False

    def publish(self, made: Seal, signer: Signer) -> bool:
        """Publish a seal; False when a name of it is taken by what is not of it. Raises DestinationError, ClaimLost."""
        if self._is_taken(made, signer):
            return False
        self._intend(made)
        for name, part in sorted(made.files.items()):
            if not self._put_part(name, part):
                return False
        return self.put(made.stem.statement, made.statement.__eq__, made.statement) and self.sign(made, signer)

    def sign(self, made: Seal, signer: Signer) -> bool:
        """Publish the key and the signature; of the first statement of a key that took over, that of the one before it too."""
        key, stem = signer.public, made.stem
        self.put(names.key_name(key.id), key.pem.__eq__, key.pem)
        if before := self.lease.body.get("previous_key"):
            second = self.setup.keys.of(before, self.lease.body["previous_kid"])
            if not self.put(stem.second_signature(before), _signed(second, made), second.sign(made.statement)):
                return False
        return self.put(stem.signature, _signed(signer, made), signer.sign(made.statement))

    def is_foreign(self, name: str, sha256: str) -> bool:
        """Whether it is nothing that a seal of ours which was killed has left; if so it is named."""
        if sha256 in self.lease.body.get("intent", {}).get("ours", ()):
            return False
        place = self.path + name
        reason = f"{place}: somebody else's file lies where a seal of ours belongs; it is left as it is, and not signed"
        self.ledger.troubles.note([trouble(self.ledger, self.setup, "foreign", reason, place)])
        return True

    def _demand(self) -> None:
        self.check()
        self.lease.check()

    def _put_part(self, name: str, part: Part) -> bool:
        """Publish a list, however long; whether what lies under its name then is this very list."""
        self._demand()
        there = self.sum_of(name)
        if not there:
            if self._stored(self.path + name, part):
                return True
            there = self.sum_of(name)
        if there == part.sha256:
            return True
        self.is_foreign(name, there)
        return False

    def _stored(self, location: str, part: Part) -> bool:
        """False when the name was taken meanwhile."""
        if part.size <= _AT_ONCE:
            return self.store.put(location, b"".join(part.chunks()), replace=False)
        transfer = digest(location.encode())[:16]
        self.store.sweep(location, transfer, self.lease.epoch)
        staging = self.store.stage(location, transfer, self.lease.epoch)
        try:
            for chunk in part.chunks():
                self._demand()
                staging.write(chunk)
            token = staging.finish()
        except BaseException:
            staging.discard()
            raise
        stamp = Stamp(transfer, self.lease.epoch, part.size, part.sha256, "text/plain")
        return self.store.publish(token, location, stamp, replace=False)

    def _is_taken(self, made: Seal, signer: Signer) -> bool:
        """Somebody else's bytes are where its statement or signature belongs: nothing of it need be published there."""
        stem, statement = made.stem, self.content(made.stem.statement)
        signature = self.content(stem.signature)
        taken = statement is not None and statement != made.statement and self.is_foreign(stem.statement, digest(statement))
        forged = signature is not None and not signer.public.verifies(signature, made.statement)
        return taken or (forged and self.is_foreign(stem.signature, digest(signature or b"")))

    def _intend(self, made: Seal) -> None:
        """Say in the ledger what is about to be published. What an intent before this one had published is known as ours."""
        known = self.lease.body.get("intent", {}).get("ours", [])
        ours = [*(part.sha256 for part in made.files.values()), made.head.sha256]
        self.lease.body["intent"] = {"stem": str(made.stem), "sha256": made.head.sha256, "ours": sorted({*known, *ours})}
        self.lease.commit([])


def _signed(signer: Signer, made: Seal) -> Callable[[bytes], bool]:
    """Whether a signature that lies there already is one of this key over the statement: any is right."""
    return lambda there: signer.public.verifies(there, made.statement)


def trouble(ledger: Ledger, setup: Setup, state: str, reason: str, place: str = "") -> Trouble:
    """Something about the seals that a person has to know of."""
    now, where = ledger.now(), setup.around.destination
    told: dict[str, Any] = {"kind": "seal", "reason": reason, "first_failed": now, "last_failed": now, "place": place or state}
    return Trouble(Severity.UNPROVEN, "", "", where, state, **told)
