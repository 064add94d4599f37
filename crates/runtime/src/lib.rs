//! The Runtime port: namespaces, mounts, cgroups, seccomp; host unsafe lives in its sys module.
