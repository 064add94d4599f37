-- Templates: saved recipes for sandboxes. And what a sandbox took from one.

CREATE TABLE templates (
    sequence     INTEGER PRIMARY KEY,
    id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    account      BLOB    NOT NULL REFERENCES accounts (id),
    name         TEXT    NOT NULL,
    source       TEXT    NOT NULL, -- JSON
    recipe       TEXT    NOT NULL, -- JSON
    image        BLOB    CHECK (length(image) = 32),
    bytes        INTEGER CHECK (bytes >= 0),
    state        TEXT    NOT NULL,
    reason       TEXT,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    UNIQUE (account, name)
) STRICT;

ALTER TABLE sandboxes ADD COLUMN template TEXT;
ALTER TABLE sandboxes ADD COLUMN start_command TEXT NOT NULL DEFAULT '[]'; -- JSON
