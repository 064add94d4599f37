-- The places of deleted things, so that a cursor which names one still works.
--
-- `owner` is the account of a sandbox or upload, the sandbox of a catalogue entry. `ordinal` counts the burials of one
-- owner and kind, which makes "all but the newest so many" a range of the primary key.

CREATE TABLE tombstones (
    owner    BLOB    NOT NULL CHECK (length(owner) = 16),
    kind     TEXT    NOT NULL CHECK (kind IN ('sandbox', 'catalogue', 'upload')),
    ordinal  INTEGER NOT NULL,
    id       BLOB    NOT NULL CHECK (length(id) = 16),
    sequence INTEGER NOT NULL,
    PRIMARY KEY (owner, kind, ordinal),
    UNIQUE (owner, kind, id)
) STRICT, WITHOUT ROWID;
