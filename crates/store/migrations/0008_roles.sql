-- The role that a sandbox was made with, and how far it has been applied.

ALTER TABLE sandboxes ADD COLUMN role TEXT; -- JSON
