"""Small files put together: each step is done for all of them before the next, so that one act of the disk serves many.

A file is written under a temporary name, which follows from the name that it shall get and is locked as long as its worker lives;
it is made durable, gets its name by one call of the operating system, and then the names are made durable, folder by folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Any

from bic_lib.core.errors import DestinationError, ItemError
from bic_lib.core.ports.files import SmallFile
from bic_lib.destinations import temporary
from bic_lib.destinations.local_files import Part, take_away_dead
from bic_lib.destinations.local_folders import Folder, Root, split

AT_ONCE = 50
"""Files that are open at once: a process may have some hundred, and has several lanes."""

_State = SmallFile | Part | bool | ItemError
"""How far a file is: to be written, written, published or not, failed."""


class Puts:
    """A few small files on their way below `root`. `translated` makes the system's errors ours, while a location is worked at.

    `told` has what became of each, in order; where the place failed with `error`, of those before.
    """

    def __init__(self, root: Root, translated: Callable[[str], AbstractContextManager[None]]) -> None:
        self._root = root
        self._translated = translated
        self._held = ExitStack()
        self._folders: dict[str, Folder] = {}
        self._named: set[Folder] = set()
        """Those in which files got their names."""
        self.told: list[bool | ItemError] = []
        self.error: DestinationError | None = None

    def put(self, files: Sequence[SmallFile], check: Callable[[], None]) -> None:
        """Put them. `check` is asked before each gets its name, and may raise. Raises DestinationError: then none may last."""
        with self._held:
            states = self._each([file.location for file in files], files, SmallFile, self._begin)
            for step in (Part.sync, lambda part: self._publish(part, check)):
                states = self._each([file.location for file in files], states, Part, step)
            try:
                self._sync()
            except ItemError as error:
                raise DestinationError(error.message, hint=error.hint) from error
        self.told = [state for state in states if isinstance(state, bool | ItemError)]

    def _each(
        self, locations: Sequence[str], states: Sequence[_State], kind: type, step: Callable[[Any], _State]
    ) -> list[_State]:
        """The next step of the files that are so far."""
        reached: list[_State] = []
        for location, before in zip(locations, states, strict=False):
            state = before
            if isinstance(before, kind):
                try:
                    state = self._stepped(location, step, before)
                except ItemError as error:
                    state = error
                except DestinationError as error:
                    self.error = error
                    break
            reached.append(state)
        return reached

    def _stepped(self, location: str, step: Callable[[Any], _State], before: _State) -> _State:
        try:
            return step(before)
        except OSError:  # seldom: not each step of each file is put into a context
            with self._translated(location):
                raise

    def _begin(self, file: SmallFile) -> Part | bool:
        """The file, written; False when its name is taken."""
        location, name = split(file.location)
        folder = self._folders.get(location)
        if folder is None:
            folder = self._folders[location] = self._root.enter(location, make=True)
            self._held.callback(folder.close)
        if not file.replace and folder.status(name) is not None:
            take_away_dead(folder, temporary.of_put(name))
            return False
        part = Part(folder, name, replace=file.replace)
        self._held.callback(_let_go, part)
        part.write(file.content)
        return part

    def _publish(self, part: Part, check: Callable[[], None]) -> bool:
        check()
        published = part.publish()
        if published:
            self._named.add(part.folder)
        part.close()
        return published

    def _sync(self) -> None:
        for location, folder in self._folders.items():
            if folder in self._named:
                with self._translated(location):
                    folder.sync()


def _let_go(part: Part) -> None:
    with suppress(OSError):  # the next put of its name takes away what stays
        part.close()
