-- Secrets of sandboxes for domains, sealed (seal.rs): the content cannot be read without the key, which is not in here. They are written
-- before their sandbox, whose start needs them, so there is no foreign key.

CREATE TABLE domain_secrets (
    sandbox BLOB NOT NULL PRIMARY KEY CHECK (length(sandbox) = 16),
    sealed  BLOB NOT NULL
) STRICT;
