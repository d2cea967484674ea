"""Keys at rest: hashed, private, whole, and the same for every process."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from limpide.core.errors import BadRequest, InvalidParameter
from limpide.core.events import Usage
from limpide.server.access import Key, KeyRules, KeyStore, Used, new_key
from limpide.server.access.key import id_of
from limpide.server.access.store import DAY

Make = Callable[..., tuple[str, Key]]


def test_a_key_comes_back_as_it_was(store: KeyStore, make_key: Make) -> None:
    rules = {"requests_per_minute": 3, "tokens_per_day": 10**12, "concurrent": 2, "models": ("a", "b"), "expires": 9}
    text, key = make_key("alice", **rules)
    _, plain = make_key("bob")
    assert store.find(key.id) == key
    assert store.all() == [key, plain]
    assert key.rules == KeyRules(**rules)
    assert plain.rules == KeyRules()
    assert id_of(text) == key.id
    assert key.opens_with(text)
    assert not key.opens_with(text[:-1] + ("A" if text[-1] != "A" else "B"))
    assert not plain.opens_with(text)


def test_the_secret_is_nowhere_on_the_disk(store: KeyStore, make_key: Make) -> None:
    text, key = make_key()
    store.charge(key.id, Usage(1, 0, 0, 1))
    secret = text.rpartition(f"{key.id}_")[2].encode()
    files = list(store.path.parent.iterdir())
    assert store.path in files
    assert any(key.sha256.encode() in file.read_bytes() for file in files), "the hash is, so we look in the right place"
    assert not any(secret in file.read_bytes() for file in files)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes")
def test_for_its_owner_alone(store: KeyStore, make_key: Make) -> None:
    make_key()
    for file in store.path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name
    store.path.chmod(0o644)
    KeyStore(store.path).close()
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_names_are_unique_until_they_are_revoked(store: KeyStore, make_key: Make) -> None:
    _, key = make_key("alice")
    with pytest.raises(InvalidParameter, match="alice"):
        make_key("alice")
    assert store.revoke("alice") == key
    assert store.revoke("alice") is None
    assert store.find(key.id) is None
    _, again = make_key("alice")
    assert store.revoke(again.id) == again, "by its id as well"


def test_use_adds_up_by_day(store: KeyStore, make_key: Make) -> None:
    _, key = make_key()
    noon = 20_000 * DAY + DAY / 2
    store.charge(key.id, Usage(10, 4, 2, 3), noon)
    store.charge(key.id, Usage(1, 1, 0, 5), noon + 1)
    assert store.used(key.id, noon) == Used(requests=2, prompt=11, cached=5, thinking=2, answer=8)
    assert store.used(key.id, noon).tokens == 21
    assert store.used(key.id, noon + DAY) == Used()
    assert store.used("other", noon) == Used()


WORK = """
import sys
from pathlib import Path
from limpide.core.events import Usage
from limpide.server.access import KeyRules, KeyStore, new_key

with KeyStore(Path(sys.argv[1])) as store:
    for number in range(20):
        store.add(new_key(f"{sys.argv[2]}-{number}", KeyRules())[1])
        store.charge("shared", Usage(1, 0, 1, 1), 5.0)
"""


def test_processes_that_begin_and_write_at_once(tmp_path: Path) -> None:
    """The file is not there yet for any of them."""
    path = tmp_path / "new" / "keys.sqlite"
    running = [
        subprocess.Popen([sys.executable, "-c", WORK, str(path), f"p{number}"], stderr=subprocess.PIPE)
        for number in range(4)
    ]
    for process in running:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err.decode()
    with KeyStore(path) as store:
        assert len(store.all()) == 80
        assert store.used("shared", 5.0) == Used(requests=80, prompt=80, thinking=80, answer=80)
    assert [file.name for file in path.parent.iterdir()] == ["keys.sqlite"], "nothing is left beside it"


def test_another_process_sees_a_revocation_at_once(store: KeyStore, make_key: Make) -> None:
    _, key = make_key()
    with KeyStore(store.path) as other:
        assert other.find(key.id) == key
        store.revoke("alice")
        assert other.find(key.id) is None


def test_a_change_is_whole_or_not_there(store: KeyStore, make_key: Make) -> None:
    _, key = make_key()
    with pytest.raises(OverflowError):
        store.charge(key.id, Usage(1, 1, 1, 2**70))
    assert store.used(key.id) == Used()
    store.charge(key.id, Usage(1, 1, 1, 1))
    assert store.used(key.id).requests == 1


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to look at" * 9, b"SQLite format 3\0" + b"\xff" * 200]
)
def test_a_file_that_is_none_of_ours(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "keys.sqlite"
    path.write_bytes(content)
    with pytest.raises(BadRequest, match="can't be read"):
        KeyStore(path)
    assert path.read_bytes() == content


def test_a_file_of_another_version(tmp_path: Path) -> None:
    path = tmp_path / "keys.sqlite"
    KeyStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(BadRequest, match="its format is 7"):
        KeyStore(path)


@pytest.mark.parametrize("name", ["", "a b", "-x", "a" * 65, "é", "a\n"])
def test_names_that_no_log_could_show(name: str) -> None:
    with pytest.raises(InvalidParameter):
        new_key(name, KeyRules())


@pytest.mark.parametrize(
    "rules",
    [
        {"requests_per_minute": 0},
        {"requests_per_minute": 10**6},
        {"tokens_per_day": -1},
        {"concurrent": 0},
        {"models": ()},
    ],
)
def test_rules_out_of_range(rules: dict[str, int]) -> None:
    with pytest.raises(InvalidParameter):
        KeyRules(**rules)  # type: ignore[arg-type]


def test_keys_have_256_bits() -> None:
    texts = {new_key("a", KeyRules())[0] for _ in range(100)}
    assert len({text.split("_", 2)[2] for text in texts}) == 100
    assert {len(text.split("_", 2)[2]) for text in texts} == {43}, "base64 of 32 bytes"
    assert id_of("sk-something") is None
