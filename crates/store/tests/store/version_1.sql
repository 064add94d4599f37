PRAGMA foreign_keys = OFF;
BEGIN;
PRAGMA application_id = 1280987732;
PRAGMA user_version = 1;
CREATE TABLE accounts (
    sequence     INTEGER PRIMARY KEY,
    id           BLOB    NOT NULL UNIQUE CHECK (length(id) = 16),
    name         TEXT    NOT NULL UNIQUE,
    tier         TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    -- Bytes of the account's uploads, so that a quota is checked and spent without adding them up.
    stored_bytes INTEGER NOT NULL DEFAULT 0 CHECK (stored_bytes >= 0)
) STRICT;
INSERT INTO "accounts" VALUES(1,X'68A00001000000000000000000000001','account 1','default',1755300000000007,60);
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
INSERT INTO "catalogue" VALUES(1,X'68A00001000000000000000000000001',X'68A00001000000000000000000000001',X'2F6D6E742F646174612FFF',1,'user',1755300003000007);
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
INSERT INTO "keys" VALUES(1,X'68A00001000000000000000000000001',X'68A00001000000000000000000000001','key 1','lz-1',X'0100000000000000000000000000000000000000000000000000000000000000','["sandboxes:read","sandboxes:write","files:read","files:write","images:write","admin"]',1755300001000007,1755300002000007);
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
INSERT INTO "sandboxes" VALUES(4,X'68A00001000000000000000000000001',X'68A00001000000000000000000000001','it''s "quoted" 🦀 \ %_','debian:bookworm',X'FEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFEFE','{"memory_bytes":18446744073709551615,"cpu_millis":4294967295,"pids":17,"disk_bytes":1}','{"EMPTY":"","PATH":"/bin:/usr/bin","UMLAUT":"ä\n\t\"''"}','/mnt/data','nobody:nogroup','{"mode":"allowlist","domains":["*.example.org"],"cidrs":["192.0.2.0/24","2001:db8::/32"]}','{"":"","team":"a"}','{"idle":{"after_ns":1200000000001,"action":"pause"},"delete_stopped_after_ns":3600000000000,"life_ns":31536000000000000}','error','{"code":"start_failed","why":"no such image: \"x\""}',1755299997000007,1755300001000007,9223372036854775807);
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
INSERT INTO "uploads" VALUES(2,X'68A00001000000000000000000000001',X'68A00001000000000000000000000001','file 1.csv',60,X'0707070707070707070707070707070707070707070707070707070707070707','user_data',1755300004000007,NULL);
CREATE INDEX keys_by_account ON keys (account);
CREATE INDEX sandboxes_by_account ON sandboxes (account);
CREATE INDEX uploads_by_account ON uploads (account, sequence);
CREATE INDEX uploads_by_digest ON uploads (digest);
CREATE INDEX uploads_by_expiry ON uploads (expires_at) WHERE expires_at IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('sandboxes',4);
INSERT INTO "sqlite_sequence" VALUES('catalogue',1);
INSERT INTO "sqlite_sequence" VALUES('uploads',2);
COMMIT;
