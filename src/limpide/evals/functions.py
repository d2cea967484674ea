"""Functions for the task `tools`: their schemas, how people ask for them, and the arguments that follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from limpide.core.messages import Tool

CITIES = ("Lyon", "Oslo", "Madrid", "Vienna", "Dublin", "Prague", "Boston", "Kyoto", "Cairo", "Lima")
NAMES = ("Anna", "Bruno", "Clara", "David", "Elena", "Felix", "Greta", "Hugo")
FOODS = ("bread", "milk", "apples", "rice", "coffee", "butter", "onions", "cheese")
LANGUAGES = ("French", "German", "Spanish", "Italian", "Japanese")
SENTENCES = ("Good morning", "Where is the station?", "See you tomorrow", "Thank you very much")


@dataclass(frozen=True, slots=True)
class Function:
    """A tool, and `ask`: a request in words with the arguments that a call of it should have."""

    tool: Tool
    ask: Callable[[Random], tuple[str, dict[str, Any]]]


def _function(
    name: str,
    description: str,
    properties: Mapping[str, Any],
    ask: Callable[[Random], tuple[str, dict[str, Any]]],
    optional: tuple[str, ...] = (),
) -> Function:
    schema = {
        "type": "object",
        "properties": dict(properties),
        "required": [each for each in properties if each not in optional],
    }
    return Function(Tool(name, description, schema), ask)


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _whole(description: str) -> dict[str, Any]:
    return {"type": "integer", "description": description}


def _weather(random: Random) -> tuple[str, dict[str, Any]]:
    city = random.choice(CITIES)
    return random.choice(("What is the weather like in {}?", "Tell me the weather in {}.")).format(city), {"city": city}


def _timer(random: Random) -> tuple[str, dict[str, Any]]:
    minutes = random.randint(2, 59)
    asked = random.choice(("Set a timer for {} minutes.", "Start a timer of {} minutes, please."))
    return asked.format(minutes), {"minutes": minutes}


def _convert(random: Random) -> tuple[str, dict[str, Any]]:
    amount = random.randint(5, 500)
    first, second = random.sample(("EUR", "USD", "GBP", "JPY", "CHF"), 2)
    return f"Convert {amount} {first} to {second}.", {"amount": amount, "from": first, "to": second}


def _add_to_list(random: Random) -> tuple[str, dict[str, Any]]:
    item, count = random.choice(FOODS), random.randint(1, 9)
    return f"Put {item} on my shopping list, quantity {count}.", {"item": item, "quantity": count}


def _translate(random: Random) -> tuple[str, dict[str, Any]]:
    text, language = random.choice(SENTENCES), random.choice(LANGUAGES)
    return f'Translate "{text}" into {language}.', {"text": text, "language": language}


def _message(random: Random) -> tuple[str, dict[str, Any]]:
    name, text = random.choice(NAMES), random.choice(SENTENCES)
    return f'Send {name} this message: "{text}"', {"to": name, "text": text}


def _lights(random: Random) -> tuple[str, dict[str, Any]]:
    room, state = random.choice(("kitchen", "bedroom", "bathroom", "office")), random.choice(("on", "off"))
    return f"Turn the {room} lights {state}.", {"room": room, "on": state == "on"}


def _thermostat(random: Random) -> tuple[str, dict[str, Any]]:
    degrees = random.randint(30, 50) / 2
    return f"Set the heating to {degrees} degrees Celsius.", {"degrees": degrees}


def _contact(random: Random) -> tuple[str, dict[str, Any]]:
    name = random.choice(NAMES)
    return f"What is {name}'s telephone number? Look it up.", {"name": name}


def _train(random: Random) -> tuple[str, dict[str, Any]]:
    start, end = random.sample(CITIES, 2)
    return f"Find me a train from {start} to {end}.", {"from": start, "to": end}


FUNCTIONS: tuple[Function, ...] = (
    _function("get_weather", "Current weather of a city.", {"city": _text("Name of the city.")}, _weather),
    _function("set_timer", "Start a countdown.", {"minutes": _whole("How long.")}, _timer),
    _function(
        "convert_currency",
        "Convert an amount of money.",
        {
            "amount": {"type": "number"},
            "from": _text("Currency code, for example EUR."),
            "to": _text("Currency code, for example USD."),
        },
        _convert,
    ),
    _function(
        "add_to_shopping_list",
        "Add something to the shopping list.",
        {"item": _text("What to buy."), "quantity": _whole("How many.")},
        _add_to_list,
    ),
    _function(
        "translate",
        "Translate a text.",
        {"text": _text("The text as it is."), "language": _text("Name of the target language, in English.")},
        _translate,
    ),
    _function(
        "send_message",
        "Send a text message to a contact.",
        {"to": _text("Name of the contact."), "text": _text("The message.")},
        _message,
    ),
    _function(
        "set_lights",
        "Switch the lights of a room.",
        {"room": {"type": "string", "enum": ["kitchen", "bedroom", "bathroom", "office"]}, "on": {"type": "boolean"}},
        _lights,
    ),
    _function(
        "set_heating",
        "Set the temperature of the heating.",
        {"degrees": {"type": "number", "description": "Degrees Celsius."}},
        _thermostat,
    ),
    _function("find_contact", "Look up a contact's number.", {"name": _text("Name of the contact.")}, _contact),
    _function(
        "find_trains",
        "Find train connections.",
        {
            "from": _text("City of departure."),
            "to": _text("City of arrival."),
            "date": _text("YYYY-MM-DD; today if it is left out."),
        },
        _train,
        optional=("date",),
    ),
)
