"""The tables, and how an older database becomes one of today. A step that was released is never changed."""

APPLICATION_ID = 0x4C494D50
"""Marks a database as ours ("LIMP")."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE responses (
            id TEXT PRIMARY KEY,
            client TEXT NOT NULL,
            created INTEGER NOT NULL,
            status TEXT NOT NULL,
            runner TEXT,
            body TEXT NOT NULL,
            input TEXT NOT NULL,
            events BLOB
        )""",
        "CREATE INDEX responses_by_age ON responses (created)",
        "CREATE INDEX responses_by_runner ON responses (runner) WHERE runner IS NOT NULL",
        """CREATE TABLE files (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            client TEXT NOT NULL,
            created INTEGER NOT NULL,
            expires INTEGER,
            filename TEXT NOT NULL,
            purpose TEXT NOT NULL,
            bytes INTEGER NOT NULL
        )""",
        "CREATE INDEX files_by_client ON files (client, seq)",
        """CREATE TABLE file_parts (
            file TEXT NOT NULL REFERENCES files (id) ON DELETE CASCADE,
            part INTEGER NOT NULL,
            data BLOB NOT NULL,
            PRIMARY KEY (file, part)
        )""",
        """CREATE TABLE batches (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            client TEXT NOT NULL,
            created INTEGER NOT NULL,
            expires INTEGER NOT NULL,
            status TEXT NOT NULL,
            input_file TEXT NOT NULL,
            body TEXT NOT NULL
        )""",
        "CREATE INDEX batches_by_input ON batches (input_file)",
        "CREATE INDEX batches_by_client ON batches (client, seq)",
        """CREATE TABLE batch_lines (
            batch TEXT NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
            line INTEGER NOT NULL,
            custom_id TEXT NOT NULL,
            start INTEGER NOT NULL,
            length INTEGER NOT NULL,
            failed INTEGER,
            result BLOB,
            PRIMARY KEY (batch, line)
        )""",
    ),
)
"""`PRAGMA user_version` counts the steps that were taken."""
