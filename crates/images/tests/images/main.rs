//! The port as the server uses it, against real directories, real archives and the host's own programs.

mod debian_image;
mod host_image;
mod image_build;
mod image_collection;
mod image_commit;
mod image_import;
mod image_pull;
mod registry;
mod support;
