//! The Store port over SQLite, with migrations; the only SQL in the tree.
