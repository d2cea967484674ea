"""What the server keeps: responses, files and batches, in one SQLite database."""

from limpide.server.store.batches import BatchStore, Line, StoredBatch
from limpide.server.store.database import Database
from limpide.server.store.files import FileStore, StoredFile
from limpide.server.store.lease import Lease
from limpide.server.store.responses import ResponseStore, StoredResponse

__all__ = [
    "BatchStore",
    "Database",
    "FileStore",
    "Lease",
    "Line",
    "ResponseStore",
    "StoredBatch",
    "StoredFile",
    "StoredResponse",
]
