"""Licences as data: what a model's terms allow and ask, in plain words. Not legal advice; the terms decide.

Compared in November 2026 with the terms' own text: Llama 3.1, 3.2 and 4 (and, by quotations, 4's use policy) in full;
Gemma, Qwen Research and MRL by long quotations in public repositories; Qwen's agreement by its opening and quotations
of single clauses; Llama 3.3 by secondary sources only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Commercial = Literal["yes", "limited", "no"]


@dataclass(frozen=True, slots=True)
class Licence:
    """The terms under which weights are given."""

    key: str
    """What `--accept-licence` takes, for example `gemma`."""
    spdx: str
    """SPDX identifier, or `LicenseRef-…` where SPDX has none."""
    name: str
    permissive: bool
    """Free to use, change and pass on for any purpose, with attribution at most."""
    needs_acceptance: bool
    """Whether the terms must be accepted before the first use."""
    obligations: tuple[str, ...]
    """What the terms ask for, beyond the fields below."""
    terms: str
    """Where the terms are published."""
    commercial: Commercial = "yes"
    """Whether one may earn money with it; `limited`: below a threshold, or within a use policy."""
    user_limit: int | None = None
    """Monthly active users of all one's products and services above which the publisher must be asked first."""
    user_limit_at_release: bool = False
    """Whether those users are counted once, when the model was released."""
    display: str | None = None
    """Words that have to be shown beside what is built with the model."""
    name_prefix: str | None = None
    """What the name of a model that is made from this one has to begin with."""
    use_policy: bool = False
    """Whether a policy of the publisher forbids uses, beyond what the law does."""

    def plainly(self) -> tuple[str, ...]:
        """Everything that is asked, one sentence each: what matters most comes first."""
        said = []
        if self.commercial == "no":
            said.append("do not use the model to earn money: not in products, in services or at work")
        if self.user_limit is not None:
            had = "had, in the month before the model was released," if self.user_limit_at_release else "have"
            said.append(
                f"if the products and services of your company and its group {had} more than "
                f"{self.user_limit // 10**6} million users a month, ask the publisher for a licence of your own first"
            )
        if self.display is not None:
            said.append(
                f"if you pass the model on, or offer a product or service that contains it, show the words "
                f"“{self.display}” where people see them: on its page, in its interface or its documentation"
            )
        if self.name_prefix is not None:
            said.append(
                "if you train or improve a model with it or with its answers and pass that model on, let its name "
                f"begin with “{self.name_prefix}”"
            )
        return (*said, *self.obligations)


_KEEP_NOTICE = "pass the licence text and the copyright notice on with the weights"

APACHE_2 = Licence(
    key="apache-2.0",
    spdx="Apache-2.0",
    name="Apache License 2.0",
    permissive=True,
    needs_acceptance=False,
    obligations=("pass the licence text and the notices on with the weights", "say what you changed"),
    terms="https://www.apache.org/licenses/LICENSE-2.0",
)

MIT = Licence(
    key="mit",
    spdx="MIT",
    name="MIT License",
    permissive=True,
    needs_acceptance=False,
    obligations=(_KEEP_NOTICE,),
    terms="https://opensource.org/license/mit",
)

GPT_2 = Licence(
    key="gpt-2",
    spdx="LicenseRef-Modified-MIT",
    name="Modified MIT License (GPT-2)",
    permissive=True,
    needs_acceptance=False,
    obligations=(_KEEP_NOTICE, "its publisher asks (and does not demand) to say clearly what was written by GPT-2"),
    terms="https://github.com/openai/gpt-2/blob/master/LICENSE",
)

GEMMA = Licence(
    key="gemma",
    spdx="LicenseRef-Gemma",
    name="Gemma Terms of Use",
    permissive=False,
    needs_acceptance=True,
    obligations=(
        "do not use the model for what Google's Gemma Prohibited Use Policy forbids, nor let others",
        "whoever gets the model or a model made from it, also as a service of yours, must be bound to the same "
        "restrictions, be told so and get a copy of the terms; models that learned from its answers count as made "
        "from it",
        "when you pass it on, add a file “Notice” that says “Gemma is provided under and subject to the Gemma Terms of "
        "Use found at ai.google.dev/gemma/terms”, and mark the files that you changed",
        "Google may restrict use that breaks the terms, also from afar",
    ),
    terms="https://ai.google.dev/gemma/terms",
    commercial="limited",
    use_policy=True,
)


def _llama(version: str, *extra: str) -> Licence:
    """Meta's community licences: versions differ in names, notices and a few clauses."""
    return Licence(
        key=f"llama{version}",
        spdx=f"LicenseRef-Llama-{version}",
        name=f"Llama {version} Community License Agreement",
        permissive=False,
        needs_acceptance=True,
        obligations=(
            f"do not use the model for what Meta's Llama {version} Acceptable Use Policy forbids",
            "pass the agreement on with the weights, and a file “Notice” that says "
            f"“Llama {version} is licensed under the Llama {version} Community License, Copyright © Meta Platforms, "
            "Inc. All Rights Reserved.”",
            *extra,
            "the licence ends if you sue anybody because the model or its results infringe rights of yours; "
            "what others claim from Meta because of your use, you bear",
        ),
        terms=f"https://www.llama.com/llama{version.replace('.', '_')}/license/",
        commercial="limited",
        user_limit=700_000_000,
        user_limit_at_release=True,
        display="Built with Llama",
        name_prefix="Llama",
        use_policy=True,
    )


_NOT_IN_THE_EU = (
    "who lives in the European Union, or has a company with its main seat there, gets no rights in the multimodal "
    "models; to use products that contain one is allowed"
)

LLAMA_3_1 = _llama("3.1")
LLAMA_3_2 = _llama("3.2")
LLAMA_3_3 = _llama("3.3")
LLAMA_4 = _llama("4", _NOT_IN_THE_EU)

_QWEN_PASSING_ON = "pass the agreement on with the weights, and a file “Notice” that says"

QWEN = Licence(
    key="qwen",
    spdx="LicenseRef-Qwen",
    name="Qwen License Agreement",
    permissive=False,
    needs_acceptance=True,
    obligations=(
        "if you train or improve a model with it or with its answers and pass that model on, show “Built with Qwen” or "
        "“Improved using Qwen” in its documentation",
        f"{_QWEN_PASSING_ON} “Qwen is licensed under the Qwen LICENSE AGREEMENT, Copyright (c) Alibaba Cloud. All "
        "Rights Reserved.”, and mark the files that you changed",
        "the licence ends if you sue because the model or its results infringe rights of yours",
    ),
    terms="https://huggingface.co/Qwen/Qwen2.5-72B-Instruct/blob/main/LICENSE",
    commercial="limited",
    user_limit=100_000_000,
)

QWEN_RESEARCH = Licence(
    key="qwen-research",
    spdx="LicenseRef-Qwen-Research",
    name="Qwen Research License Agreement",
    permissive=False,
    needs_acceptance=True,
    obligations=(
        "use it for research or evaluation only; for anything commercial ask Alibaba Cloud for another licence",
        "if you train or improve a model with it or with its answers and pass that model on, show “Built with Qwen” or "
        "“Improved using Qwen” in its documentation",
        f"{_QWEN_PASSING_ON} “Qwen is licensed under the Qwen RESEARCH LICENSE AGREEMENT, Copyright (c) Alibaba Cloud. "
        "All Rights Reserved.”, and mark the files that you changed",
    ),
    terms="https://huggingface.co/Qwen/Qwen2.5-3B-Instruct/blob/main/LICENSE",
    commercial="no",
)

MISTRAL_RESEARCH = Licence(
    key="mrl",
    spdx="LicenseRef-MRL",
    name="Mistral AI Research License",
    permissive=False,
    needs_acceptance=True,
    obligations=(
        "use it, what you make from it and its answers for research only, personal, scientific or academic, which has "
        "nothing to do with a business, not even inside one and not even for free; for anything else ask Mistral AI "
        "for a commercial licence",
        "pass a copy of the terms on with it and with what you make from it, and a file “Notice” that says “Licensed "
        "by Mistral AI under the Mistral AI Research License”; say what you changed; the model stays for research",
    ),
    terms="https://mistral.ai/licenses/MRL-0.1.md",
    commercial="no",
)

LICENCES: dict[str, Licence] = {
    licence.key: licence
    for licence in (
        *(APACHE_2, MIT, GPT_2, GEMMA),
        *(LLAMA_3_1, LLAMA_3_2, LLAMA_3_3, LLAMA_4),
        *(QWEN, QWEN_RESEARCH, MISTRAL_RESEARCH),
    )
}
