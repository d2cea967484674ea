"""Models of IBM."""

from __future__ import annotations

from limpide.core.thinking import Capability
from limpide.hub.catalog.entry import CatalogEntry, on_hub
from limpide.hub.licences import APACHE_2
from limpide.hub.shape import ModelShape

# Shapes: layers, hidden, heads, key-value heads, head size, feed-forward, vocabulary, parameters, experts, chosen.

MODELS: tuple[CatalogEntry, ...] = (
    on_hub(
        "granite3.3-2b",
        "Granite 3.3 2B Instruct",
        publisher="IBM",
        repo="ibm-granite/granite-3.3-2b-instruct-GGUF",
        architecture="granite",
        context=131_072,
        licence=APACHE_2,
        thinking=Capability.NATIVE,
        dialect="granite-3.3",
        shape=ModelShape(40, 2_048, 32, 8, 64, 8_192, 49_159, 2_533_539_840),
    ),
    on_hub(
        "granite3.3-8b",
        "Granite 3.3 8B Instruct",
        publisher="IBM",
        repo="ibm-granite/granite-3.3-8b-instruct-GGUF",
        architecture="granite",
        context=131_072,
        licence=APACHE_2,
        thinking=Capability.NATIVE,
        dialect="granite-3.3",
        shape=ModelShape(40, 4_096, 32, 8, 128, 12_800, 49_159, 8_170_848_256),
    ),
    on_hub(
        "granite4-micro",
        "Granite 4.0 Micro 3B",
        publisher="IBM",
        repo="ibm-granite/granite-4.0-micro-GGUF",
        architecture="granite",
        context=131_072,
        licence=APACHE_2,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        shape=ModelShape(40, 2_560, 40, 8, 64, 8_192, 100_352, 3_402_836_480),
    ),
    on_hub(
        "granite4-h-tiny",
        "Granite 4.0 H Tiny 7B",
        publisher="IBM",
        repo="ibm-granite/granite-4.0-h-tiny-GGUF",
        architecture="granitehybrid",
        context=131_072,
        licence=APACHE_2,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        # four layers in forty keep keys and values, the others a state of 48 heads
        shape=ModelShape(
            *(40, 1_536, 12, 4, 128, 512, 100_352, 6_940_000_000, 64, 6),
            kept_per_token=4_096,
            carried=36 * (3 * 3_328 + 16 * 3_376 + 48 * 64 * 128),
        ),
    ),
    on_hub(
        "granite4-h-small",
        "Granite 4.0 H Small 32B",
        publisher="IBM",
        repo="ibm-granite/granite-4.0-h-small-GGUF",
        architecture="granitehybrid",
        context=131_072,
        licence=APACHE_2,
        thinking=Capability.PROMPTED,
        dialect="prompted",
        # four layers in forty keep keys and values, the others a state of 128 heads
        shape=ModelShape(
            *(40, 4_096, 32, 8, 128, 768, 100_352, 32_200_000_000, 72, 10),
            kept_per_token=8_192,
            carried=36 * (3 * 8_448 + 16 * 8_576 + 128 * 64 * 128),
        ),
    ),
)
