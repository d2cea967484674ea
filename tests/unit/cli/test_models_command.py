"""`limpide models` and `limpide fit`, run as a person runs them."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from limpide.cli.running import run
from limpide.hub import CATALOG
from limpide.hub.licences import GEMMA
from limpide.hub.progress import Progress

DATA = b"GGUF of sorts"


@dataclass(frozen=True)
class Shelf:
    """A source that has the bytes at hand."""

    label: str = "a shelf"

    def locate(self) -> Path | None:
        return None

    def room_needed(self, size_bytes: int, store: Path) -> tuple[Path, int]:
        return store, size_bytes

    def fetch(self, target: Path, scratch: Path, progress: Progress) -> Path:
        progress.begin("tiny", len(DATA))
        target.write_bytes(DATA)
        progress.message("it is here")
        return target

    def discard(self, path: Path) -> None:
        path.unlink()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Caches of its own, and a catalog of two tiny models."""
    for name in list(os.environ):
        if name.startswith(("LIMPIDE_", "HF_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LIMPIDE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    tiny = replace(
        CATALOG["smollm2-135m"],
        name="tiny",
        filename="tiny.gguf",
        size_bytes=len(DATA),
        sha256=hashlib.sha256(DATA).hexdigest(),
        sources=(Shelf(),),
    )
    for entry in (tiny, replace(tiny, name="tiny-gemma", licence=GEMMA)):
        monkeypatch.setitem(CATALOG, entry.name, entry)
    return tmp_path / "home"


def test_pull_list_show_rm(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert run(["models", "pull", "tiny"]) == 0
    said = capsys.readouterr()
    path = Path(said.out.strip())
    assert path.read_bytes() == DATA
    assert path.is_relative_to(home)
    assert said.err == "it is here\n"
    assert run(["models", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["tiny"]["installed"], rows["tiny-gemma"]["installed"]) == (True, False)
    assert rows["tiny"]["path"] == str(path)
    assert rows["smollm2-135m"]["default"] is True
    assert run(["models", "list"]) == 0
    assert "tiny-gemma" in capsys.readouterr().out
    assert run(["models", "show", "tiny", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["source"], shown["licence"]["spdx"]) == ("a shelf", "Apache-2.0")
    assert run(["models", "rm", "tiny"]) == 0
    assert "removed tiny" in capsys.readouterr().out
    assert not path.exists()
    assert run(["models", "rm", "tiny"]) == 2
    assert "not in the store" in capsys.readouterr().err


def test_pull_mends_a_damaged_file(capsys: pytest.CaptureFixture[str]) -> None:
    run(["models", "pull", "tiny"])
    path = Path(capsys.readouterr().out.strip())
    before = path.stat().st_mtime_ns
    path.write_bytes(DATA[:-1] + b"!")
    os.utime(path, ns=(before, before))
    assert run(["models", "pull", "tiny", "--json"]) == 0
    said = capsys.readouterr()
    assert "damaged" in said.err
    assert Path(json.loads(said.out)["path"]).read_bytes() == DATA


def test_terms_are_asked_for_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "pull", "tiny-gemma"]) == 2
    assert "--accept-licence gemma" in capsys.readouterr().err
    assert run(["models", "show", "tiny-gemma"]) == 0
    shown = capsys.readouterr().out
    assert "not yet" in shown
    assert GEMMA.terms in shown
    assert run(["models", "pull", "tiny-gemma", "--accept-licence", "gemma"]) == 0
    capsys.readouterr()
    run(["models", "show", "tiny-gemma"])
    assert "not yet" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["models", "pull", "tinny"], 2, "try: tiny"),
        (["models", "pull", "tiny", "--offline"], 3, "offline"),
        (["models", "show", "./none.gguf"], 2, "no file"),
        (["models", "show", "hf:org/name"], 3, "offline"),
        (["models", "rm", "hf:org/name"], 2, "in place"),
        (["models", "rm", "nobody"], 2, "no model is called"),
        (["models", "pull", "tiny", "--accept-licence", "wtfpl"], 2, "gemma"),
        (["fit", "nobody"], 2, "no model is called"),
        (["fit", "tiny", "--context", "99999"], 2, "1 to 8192"),
    ],
)
def test_errors_are_messages_with_exit_codes(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == code
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""
    assert "Traceback" not in said.err


def test_show_of_a_local_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(DATA)
    assert run(["models", "show", str(path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["size_bytes"]) == ("mine", len(DATA))


def test_fit_says_it_plainly(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert run(["fit", "smollm2-135m"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(("It fits", "It does not fit"))
    assert re.search(r"generation +\d+ to \d+ tokens/s", said)
    assert "slow path" not in said
    assert run(["fit", "deepseek-r1", "--offline"]) == 0
    said = capsys.readouterr().out
    assert "latent attention, a mixture of experts: the kernels don't know that" in said
    assert "one token wakes" in said
    assert "≈408.9 GB" in said
    assert run(["fit", "gemma3-270m", "--context", "1000", "--json", "--offline"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["context"] == 1000
    assert found["machine"]["read_bandwidth"] > 0
    assert found["download_bytes"] == CATALOG["gemma3-270m"].size_bytes
    assert not home.exists()


def columns_of(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_the_list_fits_a_terminal_and_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list"]) == 0
    said = capsys.readouterr()
    rows = columns_of(said.out)
    assert rows[0] == ["NAME", "SIZE", "FITS", "CONTEXT", "THINKING", "LICENCE", "HERE"]
    assert len(rows) == len(CATALOG) + 1
    assert max(map(len, said.out.splitlines())) <= 80
    assert "\x1b" not in said.out + said.err
    assert "of memory are free" in said.err
    sizes = [CATALOG[row[0]].size_bytes for row in rows[1:]]
    assert sizes == sorted(sizes)


def test_the_list_says_what_fits_into_the_memory_that_is_free(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limpide.cli.models.memory", lambda: (16 * 10**9, 8 * 10**9))
    run(["models", "list", "--json"])
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert [rows[name]["fits"] for name in ("smollm2-135m", "qwen3-8b", "qwen3-32b", "deepseek-r1")] == [
        *("yes", "yes", "no", "no")
    ]
    for row in rows.values():
        assert row["fits"] == (
            "yes" if row["memory_bytes"] <= 7.2e9 else "tight" if row["memory_bytes"] <= 8e9 else "no"
        )
    assert [rows[name]["size_is_estimate"] for name in ("smollm2-135m", "gpt-oss-20b", "qwen3-8b")] == [
        *(False, False, True)
    ]


def test_the_list_marks_what_is_slow(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limpide.cli.models.memory", lambda: (64 * 10**9, 64 * 10**9))
    run(["models", "list"])
    rows = columns_of(capsys.readouterr().out)[1:]
    fits = {row[0]: next(cell for cell in row if cell.startswith(("yes", "tight", "no"))) for row in rows}
    marked = {name for name, cell in fits.items() if cell.endswith("*")}
    assert {"gpt-oss-20b", "granite4-h-tiny", "gemma4-e4b"} <= marked
    assert not marked & {"smollm2-135m", "gemma3-4b", "qwen2.5-7b", "qwen3-8b", "llama3.1-8b", "deepseek-r1"}
    assert fits["deepseek-r1"] == "no"


def test_the_list_needs_no_network_and_measures_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    def forbidden(*arguments: object, **options: object) -> None:
        pytest.fail("a list of what is known reached out, or took its time")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    monkeypatch.setattr("limpide.hub.fit.measure_machine", forbidden)
    monkeypatch.setattr("limpide.formats.open_checkpoint", forbidden)
    assert run(["models", "list"]) == 0
    assert "deepseek-r1" in capsys.readouterr().out


def test_show_tells_obligations_in_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["models", "show", "r1-distill-llama-70b"]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    flat = " ".join(said.split())
    for words in (
        "MIT License (MIT) permissive: use it for anything",
        "and its base Llama 3.3 Community License Agreement",
        "speed full: the kernels compute all of it",
        "more than 700 million users a month",
        "“Built with Llama”",
        "not yet; --accept-licence llama3.3 accepts them",
        "bartowski/DeepSeek-R1-Distill-Llama-70B-GGUF (branch main)",
        "checked with the one that the hub states",
        "≈42.6 GB (Q4_K_M, llama; estimated from its shape)",
    ):
        assert words in flat, words
    monkeypatch.setenv("COLUMNS", "40")
    run(["models", "show", "qwen2.5-3b"])
    assert "no commercial use" in " ".join(capsys.readouterr().out.split())


def test_show_as_json_has_the_licence_as_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    run(["models", "show", "r1-distill-llama-70b", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert (shown["licence"]["spdx"], shown["permissive"], shown["sha256"]) == ("MIT", False, None)
    (base,) = shown["base_licences"]
    assert (base["user_limit"], base["display"], base["accepted"]) == (700_000_000, "Built with Llama", None)


def test_what_another_cache_keeps_is_not_removed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "rm", "qwen3-8b"]) == 2
    assert "models--Qwen--Qwen3-8B-GGUF" in capsys.readouterr().err
