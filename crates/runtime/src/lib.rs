//! The Runtime port: namespaces, mounts, cgroups, seccomp; host unsafe lives in its sys module.
pub mod capabilities;
pub mod cgroup;
pub mod seccomp;
mod sys;
