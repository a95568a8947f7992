"""A session's recording as MP4, for people whose players know nothing else: a copy. The recording itself stays what is proven."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from bic_lib.actions.session import THERE, Copy, Session
from bic_lib.core.errors import Unexpected, UsageError
from bic_lib.core.escaping import escaped
from bic_lib.core.model import REPORT_OF, DataType
from bic_lib.engine.app import App
from bic_lib.engine.delivery import FileDestination

_SCREENS = (DataType.SESSION_RECORDINGS, DataType.PRESENTATION_RECORDINGS, DataType.SHOW_MY_SCREEN_RECORDINGS)
"""What holds a picture; a command shell's recording is looked at last."""


def to_mp4(app: App, session: Session, target: Path) -> str:
    """Write the session's recording as MP4 to `target`, which must not be there; where the recording lies.

    What is converted was read whole, and its SHA-256 is what the ledger says. Raises UsageError, Unexpected, DestinationError.
    """
    if target.exists():
        raise UsageError(f"--mp4: {target} is there already", hint="Name another file: none is replaced.")
    copy = _recording(session)
    with tempfile.TemporaryDirectory(prefix=".bic-mp4-", dir=_folder(target)) as folder:
        recording = Path(folder, "recording")
        _fetch(app, copy, recording)
        made = recording if recording_is_mp4(copy) else _converted(recording, Path(folder, "made.mp4"))
        try:
            os.link(made, target)
        except FileExistsError:
            raise UsageError(f"--mp4: {target} is there already", hint="Name another file: none is replaced.") from None
    return f"{copy.record.destination}: {copy.record.outcome.location}"


def recording_is_mp4(copy: Copy) -> bool:
    """By its extension, which follows from its first bytes (docs/appliance.md 5.3.2)."""
    return copy.record.outcome.location.endswith(".mp4")


def _folder(target: Path) -> Path:
    if not target.parent.is_dir():
        raise UsageError(f"--mp4: there is no folder {target.parent}")
    return target.parent


def _recording(session: Session) -> Copy:
    held = [copy for copy in session.copies if copy.proof == THERE and copy.record.item.data in REPORT_OF]
    order = {data: place for place, data in enumerate(_SCREENS)}
    found = min(held, key=lambda copy: (order.get(copy.record.item.data, len(order)), -copy.record.version), default=None)
    if found is None:
        raise Unexpected(f"no recording of session {session.place.lsid} lies where the ledger says one does")
    return found


def _fetch(app: App, copy: Copy, to: Path) -> None:
    """The recording as it lies at its destination, whole and as it was stored. Raises Unexpected, DestinationError."""
    destination, outcome = app.destination(copy.record.destination), copy.record.outcome
    if not isinstance(destination, FileDestination):
        raise Unexpected(f"{copy.record.destination} holds no files")
    digest = hashlib.sha256()
    with to.open("wb") as file:
        for chunk in destination.store.read(outcome.location):
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != outcome.sha256:
        raise Unexpected(f"{outcome.location} is not what was stored: `bic verify` says more", hint="Nothing was converted.")


def _converted(recording: Path, made: Path) -> Path:
    """By ffmpeg, which opens nothing but these two files, whatever the recording asks of it."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise UsageError(
            "--mp4: ffmpeg is not here, which converts recordings", hint="Install it, or play the recording with VLC."
        )
    command = [program, "-nostdin", "-loglevel", "error", "-protocol_whitelist", "file", "-i", str(recording)]
    command += ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart", str(made)]
    ended = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  our own words and paths
    if ended.returncode:
        said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
        raise Unexpected(f"ffmpeg can't convert the recording: {escaped(said[-1]) if said else 'it says nothing'}"[:500])
    return made
