-- The event log. It refers to nothing by foreign key: what happened stays true after its account or sandbox is gone.

CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    account  BLOB    NOT NULL CHECK (length(account) = 16),
    sandbox  BLOB    CHECK (length(sandbox) = 16),
    kind     TEXT    NOT NULL -- JSON
) STRICT;

CREATE INDEX events_by_account ON events (account, sequence);
