-- Volumes: named directories that outlive sandboxes. And which of them a sandbox mounts.

CREATE TABLE volumes (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    account      BLOB    NOT NULL REFERENCES accounts (id),
    name         TEXT    NOT NULL,
    size_bytes   INTEGER NOT NULL CHECK (size_bytes > 0),
    state        TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    UNIQUE (account, name)
) STRICT;

CREATE INDEX volumes_by_account ON volumes (account, sequence);

-- Deleted volumes leave their places as well; the column's check can only be changed with the table.
CREATE TABLE wider_tombstones (
    owner    BLOB    NOT NULL CHECK (length(owner) = 16),
    kind     TEXT    NOT NULL CHECK (kind IN ('sandbox', 'catalogue', 'upload', 'volume')),
    ordinal  INTEGER NOT NULL,
    id       BLOB    NOT NULL CHECK (length(id) = 16),
    sequence INTEGER NOT NULL,
    PRIMARY KEY (owner, kind, ordinal),
    UNIQUE (owner, kind, id)
) STRICT, WITHOUT ROWID;

INSERT INTO wider_tombstones (owner, kind, ordinal, id, sequence) SELECT owner, kind, ordinal, id, sequence FROM tombstones;
DROP TABLE tombstones;
ALTER TABLE wider_tombstones RENAME TO tombstones;

ALTER TABLE sandboxes ADD COLUMN volumes TEXT NOT NULL DEFAULT '[]'; -- JSON
