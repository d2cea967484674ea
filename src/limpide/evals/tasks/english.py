"""`english`: which of two sentences is English. Minimal pairs from templates, by likelihood."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from limpide.evals.minimal_pairs import MinimalPairs, Pair, Phenomena, sentence

NOUNS = (
    ("teacher", "teachers"), ("doctor", "doctors"), ("girl", "girls"), ("boy", "boys"), ("farmer", "farmers"),
    ("student", "students"), ("sister", "sisters"), ("painter", "painters"), ("driver", "drivers"),
)  # fmt: skip
THINGS = (
    ("book", "books"), ("picture", "pictures"), ("table", "tables"), ("letter", "letters"), ("window", "windows"),
    ("garden", "gardens"), ("lamp", "lamps"), ("bottle", "bottles"), ("key", "keys"), ("chair", "chairs"),
)  # fmt: skip
VERBS = (
    ("sleeps", "sleep"), ("works", "work"), ("laughs", "laugh"), ("sings", "sing"), ("waits", "wait"),
    ("smiles", "smile"), ("reads", "read"), ("writes", "write"),
)  # fmt: skip
SEES = (("likes", "like"), ("knows", "know"), ("helps", "help"), ("follows", "follow"), ("admires", "admire"))
IRREGULAR = (
    ("took", "taken"), ("saw", "seen"), ("wrote", "written"), ("broke", "broken"), ("gave", "given"),
    ("chose", "chosen"), ("hid", "hidden"), ("stole", "stolen"), ("forgot", "forgotten"), ("drew", "drawn"),
)  # fmt: skip
VOWEL = ("apple", "orange", "umbrella", "engine", "island", "old book", "empty box", "easy question")
CONSONANT = ("pear", "lemon", "hammer", "river", "window", "new book", "full box", "hard question")
NAMES = (("Anna", "Mary", "Susan"), ("Peter", "Paul", "John"))
WHERE = ("in the evening", "every day", "in the kitchen", "at school", "on Sundays", "near the river")


def _agreement(random: Random) -> Pair:
    number, noun, verb = random.randrange(2), random.choice(NOUNS), random.choice(VERBS)
    where = random.choice(WHERE)
    return sentence("the", noun[number], verb[number], where), sentence("the", noun[number], verb[1 - number], where)


def _agreement_across(random: Random) -> Pair:
    number, verb = random.randrange(2), random.choice(VERBS)
    first, second = random.sample(NOUNS, 2)
    start = f"the {first[number]} {random.choice(('near', 'behind', 'beside'))} the {second[1 - number]}"
    return sentence(start, verb[number]), sentence(start, verb[1 - number])


def _agreement_relative(random: Random) -> Pair:
    number, verb, sees = random.randrange(2), random.choice(VERBS), random.choice(SEES)
    first, second = random.sample(NOUNS, 2)
    start = f"the {first[number]} that the {second[1 - number]} {sees[1 - number]}"
    return sentence(start, verb[number]), sentence(start, verb[1 - number])


def _demonstrative(random: Random) -> Pair:
    number, thing = random.randrange(2), random.choice(THINGS)
    words = ("this", "these") if random.random() < 0.5 else ("that", "those")
    rest = ("is", "are")[number] + " " + random.choice(("new", "old", "small", "beautiful"))
    return sentence(words[number], thing[number], rest), sentence(words[1 - number], thing[number], rest)


def _article(random: Random) -> Pair:
    vowel = random.random() < 0.5
    noun = random.choice(VOWEL if vowel else CONSONANT)
    start = random.choice(("she found", "he drew", "they saw", "we wanted"))
    right, wrong = ("an", "a") if vowel else ("a", "an")
    return sentence(start, right, noun), sentence(start, wrong, noun)


def _participle(random: Random) -> Pair:
    past, participle = random.choice(IRREGULAR)
    who, what = random.choice(NOUNS)[0], random.choice(THINGS)[0]
    if random.random() < 0.5:
        return sentence("the", who, "has", participle, "the", what), sentence("the", who, "has", past, "the", what)
    return sentence("the", who, past, "the", what), sentence("the", who, participle, "the", what)


def _reflexive(random: Random) -> Pair:
    gender = random.randrange(2)
    name = random.choice(NAMES[gender])
    right, wrong = ("herself", "himself")[gender], ("himself", "herself")[gender]
    verb = random.choice(("saw", "hurt", "washed", "introduced", "described"))
    where = random.choice(("in the mirror", "yesterday", "again", "without a word"))
    return sentence(name, verb, right, where), sentence(name, verb, wrong, where)


def _pronoun_case(random: Random) -> Pair:
    subject, object_ = random.choice((("he", "him"), ("she", "her"), ("they", "them"), ("we", "us"), ("I", "me")))
    who = random.choice(NOUNS)[1]
    if random.random() < 0.5:
        verb = random.choice(("saw", "called", "helped"))
        return sentence("the", who, verb, object_), sentence("the", who, verb, subject)
    rest = random.choice(("slept until noon", "went home early", "read the letter"))
    return sentence(subject, rest), sentence(object_, rest)


def _quantity(random: Random) -> Pair:
    if random.random() < 0.5:
        noun, right, wrong = random.choice(THINGS)[1], "many", "much"
    else:
        noun, right, wrong = random.choice(("water", "money", "bread", "snow", "patience")), "much", "many"
    start = random.choice(("we do not have", "they did not need", "she never had"))
    return sentence(start, right, noun), sentence(start, wrong, noun)


def _polarity(random: Random) -> Pair:
    who, verb = random.choice(NOUNS)[1], random.choice(("slept", "laughed", "complained", "sung", "waited"))
    return sentence("no", who, "have ever", verb), sentence("some", who, "have ever", verb)


def _negation(random: Random) -> Pair:
    who, verb = random.choice(NOUNS), random.choice(VERBS)
    where = random.choice(WHERE)
    return sentence("the", who[0], "does not", verb[1], where), sentence("the", who[0], "does not", verb[0], where)


PHENOMENA: Phenomena = {
    "agreement": _agreement,
    "agreement across a phrase": _agreement_across,
    "agreement across a clause": _agreement_relative,
    "demonstrative": _demonstrative,
    "article": _article,
    "participle": _participle,
    "reflexive": _reflexive,
    "pronoun case": _pronoun_case,
    "quantity": _quantity,
    "polarity": _polarity,
    "negation": _negation,
}


@dataclass(frozen=True, slots=True)
class English(MinimalPairs):
    """One slice for each phenomenon of grammar. Chance is one in two."""

    name: str = "english"
    about: str = "which of two sentences is English: agreement, articles, participles, pronouns, negation"
    phenomena: Phenomena = field(default_factory=lambda: PHENOMENA)
