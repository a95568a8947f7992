"""README.txt of a bag: what lies in it, and the commands that check it, with its very names, for somebody who never saw `bic`."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bic_lib.core.errors import Unexpected
from bic_lib.evidence import lists, names
from bic_lib.evidence.statement import Statement, read
from bic_lib.ledger.index import Place
from bic_lib.ledger.seals import Spot


@dataclass(frozen=True, slots=True)
class Packed:
    """A stored file in the bag: where it lies there, and where it was stored. `stem`: of the seal that lists it, "" for none.

    `list`: the file of the seal that does so.
    """

    path: str
    spot: Spot
    sha256: str
    stem: str
    list: str


@dataclass(slots=True)
class Bagged:
    """What a bag holds, and what it lacks: a line each. `tokens`: names of its time stamps; `days`: of what tells what the
    appliance listed of the session's day; `sites`: by stem, what the seal calls
    the session's site.
    """

    files: list[Packed] = field(default_factory=list)
    unsealed: int = 0
    lacking: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    days: list[str] = field(default_factory=list)
    sites: dict[str, str] = field(default_factory=dict)


def readme(place: Place, host: str, bagged: Bagged, seals: Mapping[str, bytes], ledger: str) -> str:
    """The text. `seals`: by stem, the statements that were taken; `ledger`: the id of their chain."""
    head = (
        f"Session {place.lsid} of {place.site} ({host}), begun on {place.day} (UTC).\n\n"
        "data/session.json   what the ledger knows of it: copies, people, chat, events\n"
        "data/files/         its stored files, below the name of the destination from which they were taken\n"
        "data/rows/          its rows, below the name of the database: the document in another form, not checked below\n"
        "data/seals/         the seals that prove the files: lists of a day, and a signed statement over them\n"
    )
    lacking = "".join(f"\nLacking: {one}" for one in bagged.lacking) + "\n" * bool(bagged.lacking)
    unsealed = f"\nNot sealed: {bagged.unsealed} of {len(bagged.files)} files.\n" if bagged.unsealed else ""
    own = "\n".join(_commands(place, bagged, seals, ledger)) if seals else _NO_SEALS
    return f"{head}{lacking}{unsealed}\n{_WHOLE}\n{own}\n{_LIMITS}"


_WHOLE = """
Check it: type these lines, or paste them, in this folder, in a shell with sha256sum and openssl. Each must say OK, none may fail.
(On a Mac first: alias sha256sum='shasum -a 256')

  # 1. Nothing in this bag was changed since it was made.
  sha256sum --quiet -c manifest-sha256.txt tagmanifest-sha256.txt && echo OK || echo FAILED
""".lstrip("\n")

_NO_SEALS = "This ledger's days are not sealed, or not those of this session: there is nothing more to check.\n"

_LIMITS = """
What this bag can't show: a session that the appliance never listed; what happened before sealing began (statement 00000 is an
inventory); that nothing was sealed and taken back since: the whole chain, and a head that somebody kept elsewhere, show that.
Who made this bag wrote these lines too: read them before you type them. Each is sha256sum, openssl and grep, no program of ours.
""".lstrip("\n")

_KEY = r"""
  # 2. The key. In place of PUT_IT_HERE type the fingerprint that you have from elsewhere (a mail, a contract), 64 digits.
  known=PUT_IT_HERE
  S=data/seals/{ledger}
  print_of() {{ openssl pkey -pubin -in "$1" -outform DER 2>/dev/null | sha256sum | cut -c1-64; }}
  key_of() {{ for pem in $S/keys/[0-9a-f]*.pem; do [ "$(print_of "$pem")" = "$1" ] && echo "$pem"; done; }}
  key=$(key_of "$known"); [ -n "$key" ] && echo OK || echo "FAILED: no key of this bag has that fingerprint"

  # 3. Each statement is signed by that key, or by one to which it handed over.
""".strip("\n")
_LOST = """
  # From here on the chain is of another key: one was lost. Type the fingerprint that was told for it.
  known=PUT_THE_OTHER_HERE
  key=$(key_of "$known"); [ -n "$key" ] && echo OK || echo "FAILED: no key of this bag has that fingerprint"
""".strip("\n")


def _commands(place: Place, bagged: Bagged, seals: Mapping[str, bytes], ledger: str) -> Iterator[str]:
    yield _KEY.format(ledger=ledger)
    yield from _signatures(seals)
    yield "\n  # 4. Each list, and what is said of completeness, is what its statement names, by its SHA-256."
    for stem in seals:
        named = f'grep -q "$(sha256sum < "$list" | cut -c1-64)" $S/{stem}.json'
        yield f'  for list in $S/{stem}.{bagged.sites[stem]}.*; do {named} && echo OK || echo "FAILED $list"; done'
    yield "\n  # 5. Each file stands in such a list, with this SHA-256."
    for one in bagged.files:
        if one.stem:
            yield f"  {_listed(one)} && echo OK || echo FAILED"
    if bagged.tokens:
        yield "\n  # 6. Somebody else's clock: each statement was there when its time stamp says."
        yield from map(_token, bagged.tokens)
    if bagged.days:
        yield f"\n  # Was anything left out? What the appliance listed of {place.day}, and what of that is missing."
        yield from (f'  grep -o \'{{"asked_at[^]]*"day":"{place.day}"[^]]*]\' $S/{name}' for name in bagged.days)
    yield ""


def _signatures(seals: Mapping[str, bytes]) -> Iterator[str]:
    expected = ""
    for stem, content in seals.items():
        statement = _read(content)
        if statement and expected not in ("", statement.key):
            yield _LOST
        yield f'  openssl dgst -sha256 -verify "$key" -signature $S/{stem}.json.sig $S/{stem}.json'
        if statement:
            expected = statement.more.get("next_key", statement.key)
            if expected != statement.key:
                yield f'  key=$(key_of "$(sed -n \'s/.*"next_fingerprint":"\\([0-9a-f]*\\)".*/\\1/p\' $S/{stem}.json)")'


def _read(content: bytes) -> Statement | None:
    """None for a statement that somebody altered: its signature tells."""
    try:
        return read(content)
    except Unexpected:
        return None


def _listed(one: Packed) -> str:
    """The whole line that the list must have, with the digest of the file as it is here."""
    line = lists.text_of(lists.line(one.spot.location, one.sha256)).rstrip("\n")
    before, _, after = line.partition(one.sha256)
    digest = f'"$(sha256sum < {shlex.quote(one.path)} | cut -c1-64)"'
    wanted = f"{shlex.quote(before) if before else ''}{digest}{shlex.quote(after)}"
    return f"grep -qxF {wanted} $S/{one.list}"


def _token(name: str) -> str:
    at = f"$(openssl ts -reply -in $S/{name} -text 2>/dev/null | sed -n 's/^Time stamp: //p')"
    verify = f'openssl ts -verify -attime $(date -d "{at}" +%s) -data $S/{name.removesuffix(names.TOKEN)} -in $S/{name}'
    return f"  {verify} -CAfile $S/keys/{names.AUTHORITY}*.pem >/dev/null 2>&1 && echo OK || echo FAILED"
