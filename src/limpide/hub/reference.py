"""`hf:org/name[@revision][:file]`: any repository of the hub, by name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from limpide.core.errors import (
    DownloadFailed,
    LicenceNotAccepted,
    ModelFileMissing,
    OfflineError,
    UnknownModel,
    UnsupportedFormat,
)
from limpide.core.places import hf_cache_dir
from limpide.hub.files import disk_full, free_bytes
from limpide.hub.huggingface import ask, bytes_here, cached_snapshot, connect_seconds, download
from limpide.hub.progress import Progress
from limpide.hub.sources import SourceFailed

PREFIX = "hf:"
_FORM = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?(?::(?P<file>.+))?", re.ASCII)
_SPLIT = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NOT_A_MODEL = re.compile(r"mmproj|imatrix", re.IGNORECASE)
_BESIDE_WEIGHTS = re.compile(r"[\w.-]+\.(json|jinja|model|txt)", re.ASCII)

GGUF_PREFERENCE = (
    *("Q4_K_M", "Q8_0", "Q5_K_M", "Q6_K", "Q4_K_S", "Q5_K_S", "Q4_1", "Q4_0", "Q5_1", "Q5_0", "IQ4_XS", "IQ4_NL"),
    *("MXFP4", "BF16", "F16", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K", "F32"),
)
"""Which of several GGUF files is taken when none is named: small and good first."""


@dataclass(frozen=True, slots=True)
class HubReference:
    """A repository, and perhaps a revision and a file (or the name of a quantization, such as Q8_0)."""

    repo: str
    revision: str = "main"
    file: str | None = None

    @classmethod
    def parse(cls, text: str) -> HubReference:
        """Read `hf:org/name[@revision][:file]`. Raises UnknownModel for anything else."""
        match = _FORM.fullmatch(text.removeprefix(PREFIX))
        inside = [match["file"], match["revision"]] if match else []
        if match is None or ".." in match["repo"] or not all(part is None or stays_inside(part) for part in inside):
            raise UnknownModel(
                f"{text!r} names no repository", expected="hf:org/name, hf:org/name:file.gguf or hf:org/name:Q8_0"
            )
        return cls(match["repo"], match["revision"] or "main", match["file"])

    def __str__(self) -> str:
        revision = "" if self.revision == "main" else f"@{self.revision}"
        return f"{PREFIX}{self.repo}{revision}" + (f":{self.file}" if self.file else "")


@dataclass(frozen=True, slots=True)
class HubModel:
    """A repository's model on this machine: a .gguf file or a folder, inside the Hugging Face cache."""

    path: Path
    sha256: str | None = None
    licence: str | None = None


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file as the hub describes it."""

    name: str
    size: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """What a download would bring: a GGUF (None: a folder of safetensors), its size in all and its licence."""

    file: str | None
    size_bytes: int
    licence: str | None


def stays_inside(name: str) -> bool:
    """Whether a name with slashes, put below a folder, stays there on any system, and shows as what it is."""
    return name.isprintable() and not re.search(r"[\\:]", name) and not {"", ".", ".."} & set(name.split("/"))


def choose_gguf(names: Iterable[str], wanted: str | None) -> str | None:
    """The GGUF file to take: the one named, the one of the named quantization, or the best by GGUF_PREFERENCE.

    Of a split file it is the first part. None if there is no fitting one.
    """
    known = sorted(n for n in names if n.lower().endswith(".gguf") and not _NOT_A_MODEL.search(n))
    if wanted is not None:
        named = [n for n in known if wanted in (n, PurePosixPath(n).name)]
        named = named or _of_quantization(known, wanted)
        return named[0] if named else None
    for quantization in GGUF_PREFERENCE:
        if found := _of_quantization(known, quantization):
            return found[0]
    return known[0] if known else None


def all_parts(name: str) -> list[str]:
    """The files that make up a GGUF: itself, or every part of a split one."""
    match = _SPLIT.fullmatch(name)
    if match is None:
        return [name]
    return [f"{match['stem']}-{n:05d}-of-{match['count']}.gguf" for n in range(1, int(match["count"]) + 1)]


def folder_is_whole(folder: Path) -> bool:
    """Whether a folder has a config.json and all of its safetensors files."""
    if not (folder / "config.json").is_file():
        return False
    if (folder / "model.safetensors").is_file():
        return True
    try:
        index = json.loads((folder / "model.safetensors.index.json").read_text(encoding="utf-8"))
        shards = set(index["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return bool(shards) and all(isinstance(s, str) and (folder / s).is_file() for s in shards)


def cached(reference: HubReference) -> HubModel | None:
    """The model if the Hugging Face cache has all of it. Sends nothing."""
    folder = cached_snapshot(reference.repo, reference.revision)
    if folder is None:
        return None
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*.gguf")]
    chosen = choose_gguf(names, reference.file)
    if chosen is not None:
        return HubModel(folder / chosen) if all((folder / n).is_file() for n in all_parts(chosen)) else None
    return HubModel(folder) if reference.file is None and folder_is_whole(folder) else None


def obtain(reference: HubReference, *, offline: bool, progress: Progress, refresh: bool = False) -> HubModel:
    """The model from the cache, or else from the hub; `refresh` asks the hub in any case.

    Raises OfflineError, UnknownModel, ModelFileMissing, LicenceNotAccepted, UnsupportedFormat, DiskFull,
    ChecksumMismatch or DownloadFailed.
    """
    found = None if refresh and not offline else cached(reference)
    if found is not None:
        return found
    with _reaching_out(reference, offline=offline):
        return _fetch(reference, progress)


def describe(reference: HubReference, *, offline: bool) -> RemoteModel:
    """What the hub says of a model that is not here. Raises as `obtain` does."""
    with _reaching_out(reference, offline=offline):
        info = ask("Hugging Face hub", lambda: _repository(reference))
    chosen, wanted = _wanted_files(info, reference)
    return RemoteModel(chosen, sum(f.size or 0 for f in wanted), _licence(info))


@contextmanager
def _reaching_out(reference: HubReference, *, offline: bool) -> Iterator[None]:
    """Refuse to when offline, and say in our words why the hub could not be reached."""
    if offline:
        raise OfflineError(
            f"{reference} is not in the Hugging Face cache ({hf_cache_dir()}), and offline nothing may be fetched",
            hint=f"once, with the network: limpide models pull {reference}",
        )
    try:
        yield
    except SourceFailed as error:
        if is_gated(error.__cause__):
            raise _gated(reference) from error
        raise DownloadFailed(
            f"{reference} did not come: {error}",
            expected="the Hugging Face hub within reach",
            hint="check the network (and HF_ENDPOINT, HF_TOKEN), then try again: it goes on where it stopped",
        ) from error


def _fetch(reference: HubReference, progress: Progress) -> HubModel:
    label = "Hugging Face hub"
    info = ask(label, lambda: _repository(reference))
    chosen, wanted = _wanted_files(info, reference)
    needed = sum(_still_to_come(reference, info.sha, f) for f in wanted)
    if free_bytes(hf_cache_dir()) < needed:
        raise disk_full(hf_cache_dir(), needed)
    paths = []
    for file in wanted:
        paths.append(download(reference.repo, info.sha, file.name, progress, label=label))
        if file.name == "config.json":
            _refuse_unreadable(paths[-1])
    # The branch's name is known to the cache only after a download by that name; ours went by the commit.
    _remember_branch(reference, info.sha)
    digest = wanted[0].sha256 if chosen and len(wanted) == 1 else None
    return HubModel(paths[0] if chosen else paths[0].parent, digest, _licence(info))


def _refuse_unreadable(config: Path) -> None:
    """Weights that we can't read are refused before gigabytes of them have come."""
    from limpide.formats.quant_method import quant_method
    from limpide.formats.safetensors import read_json

    quant_method(read_json(config))


def _wanted_files(info: Any, reference: HubReference) -> tuple[str | None, list[RemoteFile]]:
    """The GGUF that was chosen (None for a folder of safetensors) and all files to fetch for the model."""
    files = [_remote_file(sibling) for sibling in info.siblings or () if stays_inside(sibling.rfilename)]
    chosen = choose_gguf((f.name for f in files), reference.file)
    return chosen, _gguf_files(files, chosen) if chosen else _folder_files(files, reference)


def _repository(reference: HubReference) -> Any:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        info = HfApi(library_name="limpide").model_info(
            reference.repo, revision=reference.revision, timeout=connect_seconds(), files_metadata=True
        )
        if not _COMMIT.fullmatch(str(info.sha)):  # it names a folder here
            raise SourceFailed(f"the hub names no commit of {reference.repo}")
        return info
    except GatedRepoError as error:
        raise _gated(reference) from error
    except RepositoryNotFoundError as error:
        raise UnknownModel(
            f"the hub has no repository {reference.repo}, or it is private",
            hint="check the spelling; for a private one set HF_TOKEN",
        ) from error
    except RevisionNotFoundError as error:
        raise UnknownModel(f"{reference.repo} has no revision {reference.revision}") from error


def is_gated(error: BaseException | None) -> bool:
    """Whether the hub said that terms have to be accepted there: of some repositories only when a file is asked for."""
    from huggingface_hub.errors import GatedRepoError

    return isinstance(error, GatedRepoError)


def _gated(reference: HubReference) -> LicenceNotAccepted:
    return LicenceNotAccepted(
        f"{reference.repo} is gated: its publisher wants its terms accepted on the hub",
        expected="a token of an account that accepted them",
        hint="accept the terms on the repository's page, then set HF_TOKEN",
    )


def _remote_file(sibling: Any) -> RemoteFile:
    lfs = getattr(sibling, "lfs", None)
    return RemoteFile(sibling.rfilename, sibling.size, getattr(lfs, "sha256", None))


def _gguf_files(files: Sequence[RemoteFile], chosen: str) -> list[RemoteFile]:
    by_name = {f.name: f for f in files}
    missing = [name for name in all_parts(chosen) if name not in by_name]
    if missing:
        raise ModelFileMissing(f"the repository lacks {missing[0]}, a part of {chosen}")
    return [by_name[name] for name in all_parts(chosen)]


def _folder_files(files: Sequence[RemoteFile], reference: HubReference) -> list[RemoteFile]:
    """Weights, configuration and tokenizer, the weights last: once they are all there, so is the rest."""
    names = [f.name for f in files]
    if reference.file is not None:
        known = ", ".join(n for n in names if n.endswith(".gguf")) or "none"
        raise ModelFileMissing(f"{reference.repo} has no {reference.file}", expected=f"one of its GGUF files: {known}")
    weights = [f for f in files if f.name.endswith(".safetensors") and "/" not in f.name]
    if "config.json" not in names or not weights:
        raise UnsupportedFormat(
            f"{reference.repo} holds neither GGUF nor safetensors weights",
            expected="a .gguf file, or config.json and .safetensors files; pickled weights (.bin, .pth) are never read",
            hint="a repository with the GGUF or safetensors files of the same model: its publisher's page names them",
        )
    if any(f.name == "model.safetensors" for f in weights):
        weights = [f for f in weights if f.name == "model.safetensors"]
    return [f for f in files if _BESIDE_WEIGHTS.fullmatch(f.name)] + weights


def _still_to_come(reference: HubReference, commit: str, file: RemoteFile) -> int:
    """Bytes of a file that the cache has neither whole nor in part."""
    folder = cached_snapshot(reference.repo, commit)
    if folder is not None and (folder / file.name).is_file():
        return 0
    return max(0, (file.size or 0) - bytes_here(reference.repo, file.sha256))


def _remember_branch(reference: HubReference, commit: str) -> None:
    from limpide.hub.files import write_whole
    from limpide.hub.huggingface import repo_dir

    if reference.revision != commit:
        write_whole(repo_dir(reference.repo) / "refs" / reference.revision, commit.encode())


def _licence(info: Any) -> str | None:
    card = getattr(info, "card_data", None)
    found = card.get("license") if card is not None else None
    return found if isinstance(found, str) else None


def _of_quantization(names: Sequence[str], quantization: str) -> list[str]:
    """Files whose name holds the quantization as a word of its own: Q4_K must not match Q4_K_M."""
    word = re.compile(rf"(?<![A-Za-z0-9]){re.escape(quantization)}(?![A-Za-z0-9_])", re.IGNORECASE)
    return [name for name in names if word.search(PurePosixPath(name).name)]
