from __future__ import annotations

import json
from pathlib import Path

import pytest
from tinymodel import Shelf, make_entry

from limpide.core.errors import (
    InvalidParameter,
    LicenceNotAccepted,
    ModelFileMissing,
    OfflineError,
    UnknownModel,
)
from limpide.hub import CATALOG, Acceptances, PinnedEntry, resolve
from limpide.hub.catalog import nearest
from limpide.hub.licences import GEMMA


@pytest.fixture
def tiny(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two small models in the catalog, one of them under terms."""
    for entry in (make_entry(data, Shelf(data)), make_entry(data, Shelf(data), name="tiny-gemma", licence=GEMMA)):
        monkeypatch.setitem(CATALOG, entry.name, entry)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("smolm2", "smollm2-135m"),
        ("gemma", "gemma3-270m"),
        ("SMOLLM2-135M", "smollm2-135m"),
        ("zzz", "smollm2-135m, gemma3"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, hint: str, no_network: None) -> None:
    with pytest.raises(UnknownModel, match=f"no model is called '{name}'") as caught:
        resolve(name)
    assert hint in (caught.value.hint or "")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "x" * 5000])
def test_nonsense_is_an_unknown_name(name: str) -> None:
    with pytest.raises(UnknownModel):
        resolve(name)


@pytest.mark.parametrize("name", ["missing.gguf", "./missing", "/no/such/folder", "~/nothing-of-this-name", "a/b"])
def test_a_missing_path_is_a_missing_file(name: str, no_network: None) -> None:
    with pytest.raises(ModelFileMissing, match="there is no file") as caught:
        resolve(name)
    assert caught.value.exit_code == 2


def test_local_files_and_folders_are_used_in_place(tmp_path: Path, no_network: None, home: Path) -> None:
    file = tmp_path / "my model.gguf"
    file.write_bytes(b"GGUF")
    assert resolve(str(file)).path == file
    assert resolve(str(file)).name == "my model"
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(ModelFileMissing, match="holds no model"):
        resolve(str(folder))
    (folder / "config.json").write_text("{}")
    assert resolve(str(folder)).path == folder
    assert resolve(str(folder)).name == "folder"
    assert not home.exists()


def test_a_catalog_name_wins_over_a_file_of_that_name(
    tiny: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny").write_bytes(b"mine")
    assert resolve("tiny").entry is CATALOG["tiny"]
    assert resolve("./tiny").path == Path("tiny")


def test_a_catalog_model_is_located_with_what_is_known_of_it(tiny: None) -> None:
    found, entry = resolve("tiny"), CATALOG["tiny"]
    assert isinstance(entry, PinnedEntry)
    assert (found.name, found.sha256, found.licence) == ("tiny", entry.sha256, "Apache-2.0")


@pytest.mark.parametrize("variable", ["LIMPIDE_OFFLINE", "HF_HUB_OFFLINE", None])
def test_offline_by_flag_or_environment(
    tiny: None, variable: str | None, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    if variable:
        monkeypatch.setenv(variable, "1")
    for reference in ("tiny", "hf:org/name"):
        with pytest.raises(OfflineError):
            resolve(reference, offline=variable is None)


def test_offline_what_is_here_is_found(tiny: None, request: pytest.FixtureRequest) -> None:
    first = resolve("tiny")
    request.getfixturevalue("no_network")
    assert resolve("tiny", offline=True) == first


def test_terms_are_named_and_accepted_once(tiny: None, home: Path) -> None:
    with pytest.raises(LicenceNotAccepted, match="Gemma Terms of Use") as caught:
        resolve("tiny-gemma")
    assert GEMMA.terms in str(caught.value)
    assert "--accept-licence gemma" in str(caught.value)
    assert resolve("tiny-gemma", accept_licences=["gemma"]).licence == "LicenseRef-Gemma"
    assert list(Acceptances().read()) == ["gemma"]
    assert resolve("tiny-gemma").path.exists()
    (home / "state" / "accepted-licences.json").unlink()
    with pytest.raises(LicenceNotAccepted):  # that the file is here accepts nothing
        resolve("tiny-gemma")


def test_terms_can_be_accepted_in_the_environment(tiny: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMPIDE_ACCEPT_LICENCE", "gemma")
    assert resolve("tiny-gemma").path.exists()


def test_accepting_terms_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(InvalidParameter, match="accept-licence"):
        resolve("tiny", accept_licences=["gemini"])


@pytest.mark.parametrize("content", ["", "[]", "{", '{"gemma": 1}', "\udcff"])
def test_a_damaged_list_of_acceptances_accepts_nothing(content: str, tmp_path: Path) -> None:
    path = tmp_path / "accepted.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    assert Acceptances(path).read() == {}
    Acceptances(path).accept(GEMMA)
    assert list(json.loads(path.read_text())) == ["gemma"]


@pytest.mark.parametrize(("name", "best"), [("gemma3", "gemma3-270m"), ("smollm", "smollm2-135m"), ("qqqq", None)])
def test_nearest_names(name: str, best: str | None) -> None:
    assert (nearest(name) or [None])[0] == best
