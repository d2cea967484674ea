"""Who may ask: keys and their limits, where the server listens, and what web pages may do."""

from limpide.server.access.binding import LocalOnly, check_binding, is_loopback
from limpide.server.access.key import Key, KeyRules, new_key
from limpide.server.access.keyring import Keyring
from limpide.server.access.middleware import RequestAccess
from limpide.server.access.store import KeyStore, Used

__all__ = [
    "Key",
    "KeyRules",
    "KeyStore",
    "Keyring",
    "LocalOnly",
    "RequestAccess",
    "Used",
    "check_binding",
    "is_loopback",
    "new_key",
]
