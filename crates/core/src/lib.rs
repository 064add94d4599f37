//! Nouns, rules, services and the ports they need; no HTTP, SQL, syscalls or Serialize.
