-- What previews and signed files of a sandbox are derived from, and the previews that were withdrawn before their end.

CREATE TABLE sandbox_secrets (
    sandbox   BLOB    NOT NULL PRIMARY KEY REFERENCES sandboxes (id) ON DELETE CASCADE,
    secret    BLOB    NOT NULL CHECK (length(secret) = 32),
    starts    INTEGER NOT NULL DEFAULT 0 CHECK (starts >= 0),
    rotations INTEGER NOT NULL DEFAULT 0 CHECK (rotations >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE withdrawn_previews (
    sandbox BLOB    NOT NULL REFERENCES sandboxes (id) ON DELETE CASCADE,
    mark    BLOB    NOT NULL CHECK (length(mark) = 15),
    ends_at INTEGER NOT NULL,
    PRIMARY KEY (sandbox, mark)
) STRICT, WITHOUT ROWID;
