"""`limpide keys`, run as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from limpide.cli.keys import _moment, keys_path
from limpide.cli.running import run
from limpide.core.errors import InvalidParameter
from limpide.server.access import KeyStore
from limpide.server.access.key import id_of

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("LIMPIDE_HOME", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def test_a_key_is_shown_once(home: Path, capsys: Capture) -> None:
    assert run(["keys", "create", "alice", "--tokens-per-day", "1000", "--model", "a", "--model", "b"]) == 0
    out, err = capsys.readouterr()
    text = out.strip()
    assert "not shown again" in err
    assert keys_path() == home / "limpide" / "keys.sqlite"
    with KeyStore(keys_path()) as store:
        [key] = store.all()
    assert key.opens_with(text)
    assert key.id == id_of(text)
    assert (key.rules.tokens_per_day, key.rules.models) == (1000, ("a", "b"))
    assert run(["keys", "list"]) == 0
    shown = capsys.readouterr().out
    assert "0 of 1000" in shown
    assert "a,b" in shown
    assert text not in shown
    assert run(["keys", "list", "--json"]) == 0
    out = capsys.readouterr().out
    assert json.loads(out)[0]["used_today"]["tokens"] == 0
    assert key.sha256 not in out


def test_revoking(capsys: Capture) -> None:
    assert run(["keys", "revoke", "alice"]) == 2
    assert "there is none" in capsys.readouterr().err
    assert run(["keys", "create", "alice"]) == 0
    assert run(["keys", "create", "alice"]) == 2
    assert run(["keys", "revoke", "bob"]) == 2
    assert "one of alice" in capsys.readouterr().err
    assert run(["keys", "revoke", "alice"]) == 0
    assert run(["keys", "list", "--json"]) == 0
    assert capsys.readouterr().out == "revoked alice\n[]\n"


def test_json(capsys: Capture) -> None:
    assert run(["keys", "create", "ci", "--expires", "90d", "--concurrent", "2", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert id_of(made["key"]) == made["id"]
    assert made["expires"] - made["created"] == pytest.approx(90 * 86_400, abs=5)


@pytest.mark.parametrize("when", ["yesterday", "2020-01-01", "0d", "5", "-1d", "999999d", "1m"])
def test_moments_that_make_no_sense(when: str) -> None:
    with pytest.raises(InvalidParameter):
        _moment(when, 1_800_000_000)


def test_moments() -> None:
    assert _moment("2h", 10.5) == 7210
    assert _moment("1970-01-02", 0) == 86_400
    assert _moment(None, 0) is None
