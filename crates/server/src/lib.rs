//! The daemon: settings, wiring, background tasks, shutdown; no rules of its own.
