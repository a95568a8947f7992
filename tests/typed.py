"""What the documents say to type: found in a page, typed in a shell as it stands, and what it prints held against the page.

A block ```` ```console ```` is a dialogue: lines after `$ ` are typed, the others are what is printed, with `…` for what differs
(alone on a line: any number of lines); `# exit 1` behind a command is its exit status. A block whose first line is
`# needs Azure` is typed by nobody here.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fixtures_servers import free_port
from tests.support import ROOT, clean_environ

FENCED = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
"""A block of a page: its indentation, its language, its lines."""
NEEDS_AZURE = "# needs Azure\n"
_GOES_ON = "\0"
"""In place of a backslash at the end of a line, while lines are told apart."""
_PATIENCE = 120
_PORT = 8080
"""Where services answer unless they are told otherwise; the page's is a free one here."""

Edit = Callable[[str], str]
Word = str | Callable[[], str]


@dataclass(frozen=True)
class Typed:
    """A line that a page says to type, the status that it ends with, and the lines that come of it."""

    line: str
    status: int
    lines: list[str]

    @property
    def serves(self) -> bool:
        """Whether it goes on until somebody ends it."""
        return bool({"serve", "--serve"} & set(self.line.split()))


def chapters(page: str) -> list[str]:
    """The texts of a page between its headings of the second level."""
    return re.split(r"^## ", (ROOT / page).read_text("utf-8"), flags=re.MULTILINE)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Language and content of each fenced block of a text."""
    for indent, language, block in FENCED.findall(text):
        yield language, re.sub(rf"^{indent}", "", block, flags=re.MULTILINE)


def dialogues(text: str) -> Iterator[str]:
    """The blocks of a text that are typed, one after the other."""
    yield from (block for language, block in blocks(text) if language == "console" and not block.startswith(NEEDS_AZURE))


def typed(text: str) -> Iterator[Typed]:
    """What a text says to type."""
    for block in dialogues(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.rstrip("\n").replace("\\\n", _GOES_ON).split("\n")
            words, _, status = command.replace(_GOES_ON, "\\\n").partition("  # exit ")
            yield Typed(words, int(status or 0), lines)


def pattern(lines: list[str]) -> str:
    """The lines as told, `…` for what differs: alone on a line any number of them."""
    parts = [r"(?s:.*\n)?" if line == "…" else re.escape(line).replace("…", ".*") + r" *\n" for line in lines]
    return "".join(parts) + r"\s*"


@dataclass
class Shell:
    """Somebody who types what a page says in `folder`, with a `bic` that is on the path.

    `edits`: what a line `# bic.toml: …` means, by its words. `words`: what stands for something else, such as a name in capitals.
    """

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    edits: dict[str, Edit] = field(default_factory=dict)
    words: Mapping[str, Word] = field(default_factory=dict)
    _port: int = field(default_factory=free_port)
    _service: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        programs = self.folder / ".venv/bin"
        programs.mkdir(parents=True, exist_ok=True)
        (programs / "bic").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m bic_lib "$@"\n')
        (programs / "bic").chmod(0o755)

    def type_page(self, page: str) -> None:
        """All of it, one after the other; each prints what the page says. A service goes on to the end of its chapter."""
        left = dict(self.edits)
        for chapter in chapters(page):
            with self._ended():
                for one in typed(chapter):
                    if one.line.startswith("# "):
                        self._change(left.pop(one.line.removeprefix("# bic.toml: ")))
                    else:
                        self._type(one)
        assert left == {}, "the page does not say so any more"

    def _type(self, one: Typed) -> None:
        status, said, errors = self._serve(one) if one.serves else self._run(one.line)
        told = f"$ {one.line}\n{said}{errors}"
        assert status == one.status, told
        assert re.fullmatch(pattern(one.lines), said.replace(f":{self._port}/", f":{_PORT}/")), told

    def _run(self, line: str) -> tuple[int, str, str]:
        command = ["bash", "-c", self._here(line)]
        done = subprocess.run(command, cwd=self.folder, env=self._environ(), capture_output=True, timeout=_PATIENCE, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def _serve(self, one: Typed) -> tuple[int, str, str]:
        """What a service says until it has said what the page tells; it goes on."""
        command = ["bash", "-c", f"exec {self._here(one.line)} --port {self._port}"]
        self._service = subprocess.Popen(
            command, cwd=self.folder, env=self._environ(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._service.stdout
        said = ""
        for line in self._service.stdout:
            said += line
            if re.fullmatch(pattern(one.lines), said.replace(f":{self._port}/", f":{_PORT}/")):
                break
        return self._service.poll() or 0, said, ""

    def _here(self, line: str) -> str:
        """A line with this folder's words in place of the page's."""
        for word, here in self.words.items():
            if word in line:
                line = line.replace(word, here if isinstance(here, str) else here())
        return line.replace(f":{_PORT}/", f":{self._port}/")

    def _change(self, edit: Edit) -> None:
        settings = self.folder / "bic.toml"
        settings.write_text(edit(settings.read_text("utf-8")), encoding="utf-8")

    def _environ(self) -> dict[str, str]:
        path = f"{self.folder / '.venv/bin'}:{os.environ['PATH']}"
        return clean_environ(PYTHONPATH=str(ROOT), PYTHONIOENCODING="utf-8", PATH=path, **self.environ)

    @contextmanager
    def _ended(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._end()

    def _end(self) -> None:
        if self._service:
            self._service.send_signal(signal.SIGINT)
            self._service.communicate(timeout=_PATIENCE)
            self._service = None
