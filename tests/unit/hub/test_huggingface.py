"""The Hugging Face library against a small hub of our own, in processes of their own: it reads its settings once."""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from tinymodel import Shelf, everything_in, make_entry

from fakehub import COMMIT, FakeHub, serve
from limpide.core.errors import UnknownModel
from limpide.hub import PinnedEntry, Store
from limpide.hub.huggingface import (
    HuggingFaceSource,
    _origin,
    ask,
    bytes_here,
    connect_seconds,
    in_one_line,
    repo_dir,
)
from limpide.hub.reference import GGUF_PREFERENCE, HubReference, all_parts, cached, choose_gguf, folder_is_whole
from limpide.hub.sources import SourceFailed

RUN = """
import json, os, pickle, signal, sys
from pathlib import Path
from limpide.core.errors import LimpideError
from limpide.hub import Silent, Store, resolve
from limpide.hub.fit import look_at

what, argument, stage = sys.argv[1:4]

if stage == "full":
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

class Watched(Silent):
    said = []
    done = [0]
    def update(self, done):
        self.done.append(done)
        if stage == "die" and done > 1_000_000:
            os.kill(os.getpid(), signal.SIGKILL)
    def message(self, text):
        self.said.append(text)
        if stage == "tell":
            print(text, flush=True)

try:
    if what == "pull":
        entry = pickle.loads(Path(argument).read_bytes())
        found = Store().pull(entry, progress=Watched())
        answer = {"path": str(found.path), "in_place": found.in_place, "source": found.source}
    elif what == "look":
        answer = {"size": look_at(argument).download_bytes}
    else:
        found = resolve(argument, progress=Watched(), offline=stage == "offline", refresh=stage == "refresh")
        answer = {"path": str(found.path), "sha256": found.sha256, "licence": found.licence, "name": found.name}
    print(json.dumps(answer | {"done": max(Watched.done), "said": Watched.said}))
except LimpideError as error:
    print(json.dumps({"error": type(error).__name__, "text": str(error)}))
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with serve() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def run(what: str, argument: str, stage: str = "") -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, what, argument, stage], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode == -signal.SIGKILL:
        return {"killed": True}
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def pull(entry: PinnedEntry, tmp_path: Path, stage: str = "") -> dict[str, Any]:
    pickled = tmp_path / "entry.pickle"
    pickled.write_bytes(pickle.dumps(entry))
    return run("pull", str(pickled), stage)


SOURCE = HuggingFaceSource(repo="org/tiny", revision="main", filename="tiny.gguf")


def test_a_catalog_model_comes_from_the_hub_and_stays_in_its_cache(
    hub: FakeHub, store: Store, data: bytes, tmp_path: Path
) -> None:
    hub.repos["org/tiny"] = {"tiny.gguf": data}
    entry = make_entry(data, SOURCE)
    answer = pull(entry, tmp_path)
    assert Path(answer["path"]).read_bytes() == data
    assert Path(answer["path"]).is_relative_to(tmp_path / "hf" / "hub")
    assert answer["in_place"] is True
    assert answer["done"] == len(data)
    assert everything_in(store.root) == [f"models/tiny-{entry.sha256[:12]}/record.json"]
    found = store.lookup(entry)
    assert found is not None
    assert found.path == Path(answer["path"])


def test_a_large_file_goes_on_after_a_kill(hub: FakeHub, tmp_path: Path) -> None:
    data = random.Random(2).randbytes(3_000_000)
    hub.repos["org/tiny"] = {"tiny.gguf": data}
    entry = make_entry(data, SOURCE)
    assert pull(entry, tmp_path, "die") == {"killed": True}
    assert Store().lookup(entry) is None
    assert hub.ranges == []
    answer = pull(entry, tmp_path)
    assert Path(answer["path"]).read_bytes() == data
    (resumed,) = hub.ranges
    assert int(resumed.removeprefix("bytes=").removesuffix("-")) >= 900_000


def test_a_broken_connection_is_opened_again_where_it_broke(hub: FakeHub, tmp_path: Path) -> None:
    data = random.Random(3).randbytes(2_000_000)
    hub.repos["org/tiny"] = {"tiny.gguf": data}
    hub.cut_after = 1_000_000
    assert Path(pull(make_entry(data, SOURCE), tmp_path)["path"]).read_bytes() == data
    (resumed,) = hub.ranges
    assert 0 < int(resumed.removeprefix("bytes=").removesuffix("-")) <= 1_000_000


def test_any_repository_is_held_to_the_sha256_that_it_names(hub: FakeHub, data: bytes, tmp_path: Path) -> None:
    hub.repos["org/tiny"] = {"tiny.gguf": data}
    hub.lie_about_sha256 = "0" * 64
    assert run("resolve", "hf:org/tiny")["error"] == "ChecksumMismatch"
    assert not [name for name in everything_in(tmp_path / "hf") if "blobs/" in name]
    assert run("resolve", "hf:org/tiny", "offline")["error"] == "OfflineError"


def test_a_full_disk_leaves_nothing_in_the_cache(hub: FakeHub, tmp_path: Path) -> None:
    hub.repos["org/tiny"] = {"tiny.gguf": bytes(2_000_000)}
    assert run("resolve", "hf:org/tiny", "full")["error"] == "DiskFull"
    assert not [name for name in everything_in(tmp_path / "hf") if "blobs/" in name]


def test_the_token_goes_to_the_hub_and_to_nobody_else(
    hub: FakeHub, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.repos["org/tiny"] = {"tiny.gguf": data}
    with serve() as warehouse:
        warehouse.repos = hub.repos
        hub.elsewhere = warehouse.url
        assert Path(run("resolve", "hf:org/tiny")["path"]).read_bytes() == data
        assert "Bearer hf_secret" in hub.tokens
        assert [r for r in warehouse.requests if r.startswith("GET")]
        assert set(warehouse.tokens) == {None}


@pytest.mark.parametrize("honest", [True, False])
def test_a_hub_with_other_bytes_is_passed_over_and_they_are_removed(
    hub: FakeHub, data: bytes, tmp_path: Path, honest: bool
) -> None:
    wrong = data[:-1] + b"!"
    hub.repos["org/tiny"] = {"tiny.gguf": wrong}
    entry = make_entry(data, SOURCE, Shelf(data))
    if not honest:  # it says that these are the bytes we want
        hub.lie_about_sha256 = entry.sha256
    pickled = tmp_path / "entry.pickle"
    pickled.write_bytes(pickle.dumps(make_entry(data, SOURCE)))
    answer = run("pull", str(pickled))
    assert answer["error"] == "ChecksumMismatch"
    assert entry.sha256 in answer["text"]
    assert not [name for name in everything_in(tmp_path / "hf") if "blobs/" in name]
    assert Store().lookup(entry) is None
    assert Store().pull(make_entry(data, Shelf(data))).path.read_bytes() == data


def test_a_damaged_copy_in_the_cache_is_fetched_again(hub: FakeHub, data: bytes, tmp_path: Path) -> None:
    hub.repos["org/tiny"] = {"tiny.gguf": data}
    entry = make_entry(data, SOURCE)
    path = Path(pull(entry, tmp_path)["path"])
    path.resolve().write_bytes(b"x" * len(data))
    assert Store().lookup(entry) is None
    assert Path(pull(entry, tmp_path)["path"]).read_bytes() == data


def test_any_repository_by_name(hub: FakeHub, tmp_path: Path) -> None:
    small, large = b"GGUF" + bytes(1000), b"GGUF" + bytes(2000)
    hub.repos["org/many"] = {"m.Q2_K.gguf": small, "m.Q4_K_M.gguf": large, "README.md": b"hello"}
    assert run("look", "hf:org/many") == {"size": len(large), "done": 0, "said": []}
    answer = run("resolve", "hf:org/many")
    assert Path(answer["path"]).name == "m.Q4_K_M.gguf"
    assert Path(answer["path"]).read_bytes() == large
    assert (answer["sha256"], answer["licence"], answer["name"]) == (hub.sha256(large), "mit", "hf:org/many")
    assert Path(run("resolve", "hf:org/many:q2_k")["path"]).read_bytes() == small
    asked = len(hub.requests)
    assert run("resolve", "hf:org/many", "offline")["path"] == answer["path"]
    assert run("resolve", "hf:org/many")["path"] == answer["path"]
    assert len(hub.requests) == asked  # what is here is not asked for again
    hub.repos["org/many"]["m.Q4_K_M.gguf"] = small
    assert run("resolve", "hf:org/many", "refresh")["path"] == answer["path"]
    assert len(hub.requests) > asked


def test_a_folder_of_safetensors(hub: FakeHub, tmp_path: Path) -> None:
    hub.repos["org/folder"] = {
        "model.safetensors": b"w" * 1000,
        "pytorch_model.bin": b"pickle",
        "config.json": b"{}",
        "tokenizer.json": b"{}",
        "chat_template.jinja": b"hi",
        "modeling_x.py": b"import os",
        "onnx/model.onnx": b"no",
    }
    folder = Path(run("resolve", "hf:org/folder")["path"])
    assert sorted(p.name for p in folder.iterdir()) == [
        "chat_template.jinja",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert Path(run("resolve", "hf:org/folder", "offline")["path"]) == folder


def test_weights_that_nobody_here_can_read_are_not_fetched(hub: FakeHub, tmp_path: Path) -> None:
    config = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}
    hub.repos["org/nf4"] = {"model.safetensors": b"w" * 1000, "config.json": json.dumps(config).encode()}
    said = run("resolve", "hf:org/nf4")
    assert said["error"] == "UnsupportedFormat"
    assert "bitsandbytes" in said["text"]
    assert "GGUF" in said["text"]
    assert not [request for request in hub.requests if request.startswith("GET") and "safetensors" in request]


@pytest.mark.parametrize(
    ("reference", "error", "words"),
    [
        ("hf:org/nobody", "UnknownModel", "no repository"),
        ("hf:org/many:m.Q9.gguf", "ModelFileMissing", "m.Q4_K_M.gguf"),
        ("hf:org/pickled", "UnsupportedFormat", "never read"),
    ],
)
def test_what_a_repository_does_not_have(hub: FakeHub, reference: str, error: str, words: str) -> None:
    hub.repos["org/many"] = {"m.Q4_K_M.gguf": b"GGUF"}
    hub.repos["org/pickled"] = {"pytorch_model.bin": b"x", "config.json": b"{}"}
    answer = run("resolve", reference)
    assert answer["error"] == error
    assert words in answer["text"]


def test_a_hub_that_is_down_costs_little_and_the_next_source_serves(
    data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    start = time.perf_counter()
    answer = run("resolve", "hf:org/many")
    assert answer["error"] == "DownloadFailed"
    assert time.perf_counter() - start < 20  # the interpreter's start and a loaded machine included


def test_a_question_without_an_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr("limpide.hub.huggingface.CONNECT_SECONDS", 0.05)
    monkeypatch.setattr("limpide.hub.huggingface._GRACE_SECONDS", 0.0)
    never = threading.Event()
    with pytest.raises(SourceFailed, match="no answer"):
        ask("the hub", never.wait)
    never.set()


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("", 3.0), ("20", 20.0), ("0", 3.0), ("-1", 3.0), ("soon", 3.0), ("1e9", 600.0), ("nan", 3.0)],
)
def test_a_slow_network_is_given_more_time_on_request(
    asked: str, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", asked)
    assert connect_seconds() == seconds


def test_names_that_lead_out_of_the_cache_are_passed_over(hub: FakeHub, tmp_path: Path) -> None:
    data = b"GGUF" + bytes(100)
    hub.repos["org/evil"] = {
        "../../../../evil.Q4_K_M.gguf": b"GGUF",
        "/etc/evil.Q4_K_M.gguf": b"GGUF",
        "c:evil.Q4_K_M.gguf": b"GGUF",
        "\x1b[2Jevil.Q4_K_M.gguf": b"GGUF",
        "good.Q8_0.gguf": data,
    }
    assert Path(run("resolve", "hf:org/evil")["path"]).read_bytes() == data
    assert not [request for request in hub.requests if "resolve" in request and "evil." in request]


@pytest.mark.parametrize("commit", ["../../../evil", "main", "0" * 39])
def test_a_hub_that_names_no_commit_is_not_followed(hub: FakeHub, commit: str) -> None:
    hub.repos["org/tiny"] = {"tiny.gguf": b"GGUF"}
    hub.commit = commit
    assert run("resolve", "hf:org/tiny")["error"] == "DownloadFailed"


def test_terms_that_the_hub_wants_accepted_are_called_by_their_name(hub: FakeHub) -> None:
    hub.repos["org/tiny"] = {"tiny.gguf": b"GGUF"}
    hub.gated = True
    said = run("resolve", "hf:org/tiny")
    assert said["error"] == "LicenceNotAccepted"
    assert "HF_TOKEN" in said["text"]


def test_a_token_is_not_shown_to_the_same_host_in_the_clear() -> None:
    assert _origin("https://Hub.example/a") == _origin("https://hub.example/b")
    assert _origin("https://hub.example/a") != _origin("http://hub.example/a")
    assert _origin("https://hub.example/a") != _origin("https://hub.example:8443/a")


def test_errors_tell_neither_passwords_nor_signed_addresses() -> None:
    said = in_one_line(
        OSError("GET https://me:secret@mirror.example/x?X-Signature=abc failed for 'https://b/c?token=1'")
    )
    assert said == "OSError: GET https://mirror.example/x failed for 'https://b/c'"


def test_what_an_earlier_try_left_needs_no_room_again(tmp_path: Path) -> None:
    assert SOURCE.room_needed(1000, tmp_path)[1] == 1000
    blobs = repo_dir("org/tiny") / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{'a' * 64}.limpide.incomplete").write_bytes(bytes(600))
    assert SOURCE.room_needed(1000, tmp_path)[1] == 400
    assert bytes_here("org/tiny", "a" * 64) == 600
    assert bytes_here("org/tiny", "b" * 64) == 0
    assert bytes_here("org/tiny", "../" * 10) == 0
    (blobs / ("a" * 64)).write_bytes(bytes(1000))
    assert bytes_here("org/tiny", "a" * 64) == 1000


def test_two_processes_with_stores_of_their_own_share_the_lock_of_the_cache(
    hub: FakeHub, data: bytes, tmp_path: Path, home: Path
) -> None:
    hub.repos["org/tiny"] = {"tiny.gguf": data}
    lock = tmp_path / "hf" / "hub" / ".locks" / "models--org--tiny" / f"{hub.sha256(data)}.limpide.lock"
    lock.parent.mkdir(parents=True)
    with ExitStack() as stack:
        with FileLock(lock):
            waiting = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", RUN, "resolve", "hf:org/tiny", "tell"], stdout=subprocess.PIPE, text=True
                )
            )
            assert waiting.stdout is not None
            assert "another process is fetching" in waiting.stdout.readline()
            assert not [request for request in hub.requests if request.startswith("GET org")]
        answer = json.loads(waiting.communicate(timeout=60)[0].splitlines()[-1])
        assert Path(answer["path"]).read_bytes() == data


NAMES = ["a.Q8_0.gguf", "a.Q4_K_M.gguf", "a-Q4_K_S.gguf", "a.f16.gguf", "mmproj-a.Q4_K_M.gguf", "sub/b-IQ4_XS.gguf"]


@pytest.mark.parametrize(
    ("names", "wanted", "chosen"),
    [
        (NAMES, None, "a.Q4_K_M.gguf"),
        ([n for n in NAMES if "Q4_K" not in n], None, "a.Q8_0.gguf"),
        (NAMES, "q4_k_s", "a-Q4_K_S.gguf"),
        (NAMES, "F16", "a.f16.gguf"),
        (NAMES, "IQ4_XS", "sub/b-IQ4_XS.gguf"),
        (NAMES, "b-IQ4_XS.gguf", "sub/b-IQ4_XS.gguf"),
        (NAMES, "sub/b-IQ4_XS.gguf", "sub/b-IQ4_XS.gguf"),
        (NAMES, "Q4", None),
        (["odd.gguf", "model.safetensors"], None, "odd.gguf"),
        (["mmproj.gguf"], None, None),
        (["m-Q4_K_M-00002-of-00002.gguf", "m-Q4_K_M-00001-of-00002.gguf"], None, "m-Q4_K_M-00001-of-00002.gguf"),
        ([], None, None),
    ],
)
def test_the_choice_among_several_files(names: list[str], wanted: str | None, chosen: str | None) -> None:
    assert choose_gguf(names, wanted) == chosen


def test_each_preference_is_recognised_and_none_twice() -> None:
    for name in GGUF_PREFERENCE:
        assert choose_gguf([f"m-{other}.gguf" for other in GGUF_PREFERENCE], name) == f"m-{name}.gguf"


def test_all_parts_of_a_split_file() -> None:
    assert all_parts("a/m-00001-of-00003.gguf") == [f"a/m-0000{n}-of-00003.gguf" for n in (1, 2, 3)]
    assert all_parts("m.gguf") == ["m.gguf"]


@pytest.mark.parametrize(
    ("text", "repo", "revision", "file"),
    [
        ("hf:org/name", "org/name", "main", None),
        ("hf:org/name:Q8_0", "org/name", "main", "Q8_0"),
        ("hf:o.r-g/n_a.me@v1.0:sub/m.gguf", "o.r-g/n_a.me", "v1.0", "sub/m.gguf"),
    ],
)
def test_references_are_read(text: str, repo: str, revision: str, file: str | None) -> None:
    found = HubReference.parse(text)
    assert (found.repo, found.revision, found.file) == (repo, revision, file)
    assert HubReference.parse(str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        *("hf:", "hf:name", "hf:a/b/c", "hf:../b", "hf:a/..", "hf:a/b:../../etc/passwd", "hf:a/b:/etc/passwd"),
        *("hf:a/b@/etc/x", "hf:a/b@x//y", "hf:a/b@x/", "hf:a/b:./c.gguf", "hf:a/b:c:d.gguf", "hf:a/b:\x1b.gguf"),
        *("hf:a/b@../x", "hf:a/b:c\\d", "hf:a/b:", "hf:a b/c", "hf:a/b\n"),
    ],
)
def test_hostile_references_are_refused(text: str) -> None:
    with pytest.raises(UnknownModel):
        HubReference.parse(text)


def test_a_split_file_is_here_when_all_its_parts_are(tmp_path: Path) -> None:
    root = tmp_path / "hf" / "hub" / "models--org--x"
    folder = root / "snapshots" / "c0ffee"
    folder.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("c0ffee")
    first, second = (folder / f"m-0000{n}-of-00002.gguf" for n in (1, 2))
    first.write_bytes(b"x")
    assert cached(HubReference("org/x")) is None
    second.write_bytes(b"x")
    found = cached(HubReference("org/x"))
    assert found is not None
    assert found.path == first


def test_a_damaged_branch_file_leads_nowhere(tmp_path: Path) -> None:
    from limpide.hub.huggingface import cached_snapshot

    root = tmp_path / "hf" / "hub" / "models--org--x"
    (root / "refs").mkdir(parents=True)
    (root / "snapshots").mkdir()
    (root / "refs" / "main").write_text("../..")
    assert cached_snapshot("org/x", "main") is None


@pytest.mark.parametrize(
    "index", ['{"weight_map": {"a": "one.safetensors"}}', "[]", "{", '{"weight_map": {"a": 1}}', None]
)
def test_a_sharded_folder_is_whole_when_every_shard_is(tmp_path: Path, index: str | None) -> None:
    (tmp_path / "config.json").write_text("{}")
    if index is not None:
        (tmp_path / "model.safetensors.index.json").write_text(index)
    assert not folder_is_whole(tmp_path)
    (tmp_path / "one.safetensors").write_bytes(b"x")
    assert folder_is_whole(tmp_path) == (index is not None and "one" in index)


def test_the_commit_is_the_cache_key(hub: FakeHub, data: bytes, tmp_path: Path) -> None:
    hub.repos["org/tiny"] = {"tiny.gguf": data}
    assert COMMIT in pull(make_entry(data, SOURCE), tmp_path)["path"]
    assert (
        tmp_path / "hf" / "hub" / "models--org--tiny" / "snapshots" / COMMIT / "tiny.gguf"
    ).is_symlink() or os.name == "nt"


def test_a_catalog_model_without_a_checksum_of_ours_is_held_to_that_of_the_hub(
    hub: FakeHub, data: bytes, tmp_path: Path
) -> None:
    hub.repos["Qwen/Qwen3-0.6B-GGUF"] = {"Qwen3-0.6B-Q8_0.gguf": data, "README.md": b"x"}
    hub.lie_about_sha256 = "0" * 64
    assert run("resolve", "qwen3-0.6b")["error"] == "ChecksumMismatch"
    hub.lie_about_sha256 = None
    found = run("resolve", "qwen3-0.6b")
    assert Path(found["path"]).read_bytes() == data
    assert (found["name"], found["licence"], found["sha256"]) == ("qwen3-0.6b", "Apache-2.0", hub.sha256(data))
    asked = len(hub.requests)
    assert run("resolve", "qwen3-0.6b")["path"] == found["path"]
    assert len(hub.requests) == asked, "what is here is used without asking"
