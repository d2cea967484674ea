from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from limpide.cli.progress import Lines, watch

SHOW = """
from limpide.cli.progress import watch
with watch() as progress:
    progress.begin("weights", 1000)
    progress.update(500)
    progress.message("trying [another] source\\x1b[2J")
    progress.begin("more weights", None)
    progress.end()
    progress.end()
print("done")
"""


def test_a_person_sees_a_bar() -> None:
    ours, theirs = pty.openpty()
    environment = dict(os.environ, COLUMNS="100", TERM="xterm-256color")
    done = subprocess.run(
        [sys.executable, "-c", SHOW], stderr=theirs, stdout=subprocess.PIPE, env=environment, check=True
    )
    os.close(theirs)
    seen = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert done.stdout == b"done\n"
    assert "weights" in seen
    assert "1.0 kB" in seen
    assert "trying [another] source" in seen
    assert "\x1b[2J" not in seen  # a source's words don't clear the screen
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")  # the cursor is back


def test_a_log_gets_lines_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with watch() as progress:
        progress.begin("weights", 1000)
        progress.update(500)
        progress.message("trying another source")
        progress.end()
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "trying another source\n")


def test_a_stranger_moves_no_cursor_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    Lines().message("the hub said \x1b[2Jgone")
    assert capsys.readouterr().err == "the hub said \u241b[2Jgone\n"
