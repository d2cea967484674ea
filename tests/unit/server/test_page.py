"""The page as files: what is served, with which headers, and behind which guards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from limpide.core.errors import InvalidParameter
from limpide.server.page import MOST_FILES, Page
from limpide.server.settings import ServerSettings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "page"
    (made / "views").mkdir(parents=True)
    (made / "index.html").write_text("<!doctype html>")
    (made / "views" / "one.js").write_text("export {};")
    (made / "notes.txt").write_text("not served")
    (tmp_path / "secret.js").write_text("secret")
    return made


@pytest.fixture
def http(serve: Callable[..., httpx.Client], fake_host: Callable[..., Any], folder: Path) -> httpx.Client:
    return serve(fake_host("ok"), ServerSettings(page=folder))


def test_files_come_with_a_policy_and_their_types(http: httpx.Client) -> None:
    for path, media_type in {
        "/": "text/html; charset=utf-8",
        "/page/views/one.js": "text/javascript; charset=utf-8",
    }.items():
        answer = http.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == media_type
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy


def test_a_browser_asks_again_and_gets_nothing_new(http: httpx.Client) -> None:
    first = http.get("/page/views/one.js")
    assert first.headers["cache-control"] == "no-cache"
    again = http.get("/page/views/one.js", headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert http.get("/", headers={"if-none-match": first.headers["etag"]}).status_code == 200


@pytest.mark.parametrize(
    "path", ["notes.txt", "index.html", "../secret.js", "%2e%2e/secret.js", "views", "/etc/passwd", ""]
)
def test_what_is_not_of_the_page_is_not_found(http: httpx.Client, path: str) -> None:
    answer = http.get(f"/page/{path}")
    assert answer.status_code == 404
    assert "secret" not in answer.text.replace("secret.js", "")


def test_without_a_folder_there_is_no_page(serve: Callable[..., httpx.Client], fake_host: Callable[..., Any]) -> None:
    assert serve(fake_host("ok")).get("/").status_code == 404


def test_a_folder_that_is_no_page_is_refused(folder: Path) -> None:
    (folder / "index.html").unlink()
    with pytest.raises(InvalidParameter, match=r"index\.html"):
        Page(folder)
    for number in range(MOST_FILES):
        (folder / f"{number}.js").touch()
    with pytest.raises(InvalidParameter, match="at most"):
        Page(folder)


def test_its_paths_are_those_that_it_serves(folder: Path) -> None:
    assert Page(folder).paths == {"/", "/page/views/one.js"}
