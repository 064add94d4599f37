-- Accounts, keys, sandboxes with their catalogues, uploads.
--
-- Ids and digests are raw bytes, times are microseconds since the Unix epoch, sizes are bytes. A column of JSON holds one
-- of the row types of row_types.rs; its shape changes by a migration only. `sequence` is the place in creation order;
-- where a cursor points at it, AUTOINCREMENT keeps a place from being given twice.

CREATE TABLE accounts (
    sequence     INTEGER PRIMARY KEY,
    id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    name         TEXT    NOT NULL UNIQUE,
    tier         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    -- Bytes of the account's uploads, so that a quota is checked and spent without adding them up.
    stored_bytes INTEGER NOT NULL DEFAULT 0 CHECK (stored_bytes >= 0)
) STRICT;

CREATE TABLE keys (
    sequence   INTEGER PRIMARY KEY,
    id         BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    account    BLOB    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name       TEXT    NOT NULL,
    hint       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    scopes     TEXT    NOT NULL, -- JSON
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT;

CREATE INDEX keys_by_account ON keys (account);

CREATE TABLE sandboxes (
    sequence       INTEGER PRIMARY KEY AUTOINCREMENT,
    id             BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    account        BLOB    NOT NULL REFERENCES accounts (id),
    name           TEXT    NOT NULL,
    image          TEXT    NOT NULL,
    image_digest   BLOB    NOT NULL CHECK (length(image_digest) = 32),
    resources      TEXT    NOT NULL, -- JSON
    env            TEXT    NOT NULL, -- JSON
    cwd            TEXT,
    user           TEXT,
    network        TEXT,             -- JSON
    labels         TEXT    NOT NULL, -- JSON
    lease          TEXT    NOT NULL, -- JSON
    state          TEXT    NOT NULL,
    reason         TEXT,             -- JSON
    created_at     INTEGER NOT NULL,
    last_active_at INTEGER NOT NULL,
    state_since    INTEGER NOT NULL
) STRICT;

CREATE INDEX sandboxes_by_account ON sandboxes (account);

CREATE TABLE catalogue (
    sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
    id         BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    sandbox    BLOB    NOT NULL REFERENCES sandboxes (id) ON DELETE CASCADE,
    path       BLOB    NOT NULL,
    bytes      INTEGER NOT NULL CHECK (bytes >= 0),
    source     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (sandbox, path)
) STRICT;

CREATE TABLE uploads (
    sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
    id         BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    account    BLOB    NOT NULL REFERENCES accounts (id),
    filename   TEXT    NOT NULL,
    bytes      INTEGER NOT NULL CHECK (bytes >= 0),
    digest     BLOB    NOT NULL CHECK (length(digest) = 32),
    purpose    TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT;

CREATE INDEX uploads_by_account ON uploads (account, sequence);
CREATE INDEX uploads_by_digest ON uploads (digest);
CREATE INDEX uploads_by_expiry ON uploads (expires_at) WHERE expires_at IS NOT NULL;
