"""`french`: which of two sentences is French. Minimal pairs from templates, by likelihood."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from limpide.evals.minimal_pairs import MinimalPairs, Pair, Phenomena, sentence

PEOPLE = (
    ("le voisin", "les voisins"), ("la voisine", "les voisines"), ("le boulanger", "les boulangers"),
    ("la chanteuse", "les chanteuses"), ("le médecin", "les médecins"), ("la fille", "les filles"),
    ("le garçon", "les garçons"), ("la cousine", "les cousines"), ("le jardinier", "les jardiniers"),
    ("la directrice", "les directrices"),
)  # fmt: skip
VERBS = (
    ("vient", "viennent"), ("dort", "dorment"), ("finit", "finissent"), ("part", "partent"), ("écrit", "écrivent"),
    ("lit", "lisent"), ("sourit", "sourient"), ("attend", "attendent"), ("répond", "répondent"), ("sort", "sortent"),
)  # fmt: skip
WHEN = ("le matin", "le soir", "chaque jour", "en été", "avec plaisir", "sans bruit")
NOUNS = {
    "m": ("livre", "jardin", "chapeau", "bateau", "mur", "pont", "tableau", "couteau", "manteau", "village"),
    "f": ("table", "maison", "voiture", "fleur", "chaise", "porte", "lampe", "montagne", "rue", "chemise"),
}
AFTER = (("blanc", "blanche"), ("vert", "verte"), ("fermé", "fermée"), ("léger", "légère"), ("ancien", "ancienne"))
BEFORE = (("petit", "petite"), ("grand", "grande"), ("beau", "belle"), ("vieux", "vieille"), ("nouveau", "nouvelle"))
VOWEL = {"m": ("arbre", "oiseau", "enfant", "escalier", "avion"), "f": ("école", "église", "orange", "île", "étoile")}
GOING = (("allé", "allée"), ("venu", "venue"), ("parti", "partie"), ("arrivé", "arrivée"), ("tombé", "tombée"))
PERSONS = ("je", "tu", "nous", "vous", "ils")
CONJUGATED = (
    ("parle", "parles", "parlons", "parlez", "parlent"),
    ("chante", "chantes", "chantons", "chantez", "chantent"),
    ("finis", "finis", "finissons", "finissez", "finissent"),
    ("prends", "prends", "prenons", "prenez", "prennent"),
    ("viens", "viens", "venons", "venez", "viennent"),
    ("veux", "veux", "voulons", "voulez", "veulent"),
    ("vais", "vas", "allons", "allez", "vont"),
    ("suis", "es", "sommes", "êtes", "sont"),
)
SUBJUNCTIVE = (
    ("vienne", "vient"),
    ("fasse", "fait"),
    ("soit", "est"),
    ("parte", "part"),
    ("sache", "sait"),
    ("puisse", "peut"),
)
FEMININE, MASCULINE = (
    ("Marie", "Sophie", "Claire", "Julie", "ma mère", "ma tante"),
    ("Pierre", "Paul", "Julien", "Luc", "mon père", "mon oncle"),
)


def _gender(random: Random) -> tuple[int, str]:
    """0 and a masculine noun, or 1 and a feminine one, both beginning with a consonant."""
    gender = random.randrange(2)
    return gender, random.choice(NOUNS["mf"[gender]])


def _agreement(random: Random) -> Pair:
    number, who, verb = random.randrange(2), random.choice(PEOPLE), random.choice(VERBS)
    when = random.choice(WHEN)
    return sentence(who[number], verb[number], when), sentence(who[number], verb[1 - number], when)


def _agreement_across(random: Random) -> Pair:
    number, verb = random.randrange(2), random.choice(VERBS)
    first, second = random.sample(PEOPLE, 2)
    between = f"{random.choice(('derrière', 'devant', 'chez'))} {second[1 - number]}"
    return sentence(first[number], between, verb[number]), sentence(first[number], between, verb[1 - number])


def _article(random: Random) -> Pair:
    gender, noun = _gender(random)
    words = random.choice((("le", "la"), ("un", "une"), ("ce", "cette"), ("mon", "ma")))
    rest = random.choice(("est ici", "me plaît beaucoup", "n'est pas à vendre"))
    return sentence(words[gender], noun, rest), sentence(words[1 - gender], noun, rest)


def _adjective_after(random: Random) -> Pair:
    gender, noun = _gender(random)
    adjective = random.choice(AFTER)
    start = ("le", "la")[gender]
    return sentence(start, noun, "est", adjective[gender]), sentence(start, noun, "est", adjective[1 - gender])


def _adjective_before(random: Random) -> Pair:
    gender, noun = _gender(random)
    adjective, start = random.choice(BEFORE), random.choice(("il y a", "je vois", "voilà"))
    article = ("un", "une")[gender]
    return sentence(start, article, adjective[gender], noun), sentence(start, article, adjective[1 - gender], noun)


def _number(random: Random) -> Pair:
    gender, noun = _gender(random)
    adjective = AFTER[random.randrange(3)][gender]
    plural = f"{noun}x" if noun.endswith("eau") else f"{noun}s"
    return sentence("les", plural, "sont", f"{adjective}s"), sentence("les", plural, "sont", adjective)


def _participle(random: Random) -> Pair:
    gender = random.randrange(2)
    name, verb = random.choice((MASCULINE, FEMININE)[gender]), random.choice(GOING)
    when = random.choice(("hier", "ce matin", "trop tard", "sans rien dire"))
    return sentence(name, "est", verb[gender], when), sentence(name, "est", verb[1 - gender], when)


def _auxiliary(random: Random) -> Pair:
    name, verb = random.choice(MASCULINE), random.choice(GOING)[0]
    when = random.choice(("hier", "ce matin", "trop tard", "sans rien dire"))
    return sentence(name, "est", verb, when), sentence(name, "a", verb, when)


def _conjugation(random: Random) -> Pair:
    verb = random.choice(CONJUGATED)
    person = random.randrange(len(PERSONS))
    wrong = random.choice([form for form in verb if form != verb[person]])
    rest = random.choice(("ici", "maintenant", "avec les autres", "aussi"))
    return sentence(PERSONS[person], verb[person], rest), sentence(PERSONS[person], wrong, rest)


def _elision(random: Random) -> Pair:
    gender = random.choice("mf")
    noun = random.choice(VOWEL[gender])
    full = "le" if gender == "m" else "la"
    start = random.choice(("nous regardons", "elle dessine", "ils connaissent", "tu oublies"))
    return sentence(start, "l'", noun), sentence(start, full, noun)


def _contraction(random: Random) -> Pair:
    noun = random.choice(NOUNS["m"])
    short, long, start = random.choice((("du", "de le", "il parle"), ("au", "à le", "elle pense")))
    return sentence(start, short, noun), sentence(start, long, noun)


def _subjunctive(random: Random) -> Pair:
    right, wrong = random.choice(SUBJUNCTIVE)
    start = random.choice(("il faut que", "je veux que", "bien que"))
    name = random.choice((*FEMININE, *MASCULINE))
    rest = {"vienne": "ce soir", "parte": "demain", "fasse": "un effort", "soit": "à l'heure", "sache": "la vérité"}
    end = rest.get(right, "nous aider")
    tail = ", nous attendons" if start == "bien que" else ""
    return sentence(start, name, right, end + tail), sentence(start, name, wrong, end + tail)


def _clitic(random: Random) -> Pair:
    gender, noun = _gender(random)
    words = ("le", "la")
    verb = random.choice(("regarde", "prends", "vends", "cherche"))
    start = f"{words[gender]} {noun}, je"
    return sentence(start, words[gender], verb), sentence(start, words[1 - gender], verb)


PHENOMENA: Phenomena = {
    "accord": _agreement,
    "accord à distance": _agreement_across,
    "article": _article,
    "adjectif attribut": _adjective_after,
    "adjectif épithète": _adjective_before,
    "pluriel": _number,
    "participe passé": _participle,
    "auxiliaire": _auxiliary,
    "conjugaison": _conjugation,
    "élision": _elision,
    "contraction": _contraction,
    "subjonctif": _subjunctive,
    "pronom": _clitic,
}


@dataclass(frozen=True, slots=True)
class French(MinimalPairs):
    """One slice for each phenomenon of grammar. Chance is one in two."""

    name: str = "french"
    about: str = "which of two sentences is French: accord, genre, conjugaison, élision, participe, subjonctif"
    phenomena: Phenomena = field(default_factory=lambda: PHENOMENA)
