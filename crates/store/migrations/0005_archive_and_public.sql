-- A lease tells when a stopped sandbox is packed away, and a sandbox whether its ports are anybody's to see.

UPDATE sandboxes SET lease = json_set(lease, '$.archive_stopped_after_ns', NULL);

ALTER TABLE sandboxes ADD COLUMN public INTEGER NOT NULL DEFAULT 0 CHECK (public IN (0, 1));
