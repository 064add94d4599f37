//! Attempts that take more than one program: what the outside does for a sandbox is part of them.

mod agents;
mod copies;
mod images;

pub(super) use agents::{overwrite_entry, squat, take_over, user_names};
pub(super) use copies::{
    library_of_helper, links_across_restart, race_with_copies, shared_lower, working_directory,
};
pub(super) use images::{device_files_are_links, directories_are_links, entries_through_links};
