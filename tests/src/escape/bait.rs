//! What there is to steal: one secret, in every place of the host that an attempt tries to reach.
//!
//! | Where | For |
//! | --- | --- |
//! | a file of mode 0600 | paths, descriptors, links, roots of other processes |
//! | the memory and a descriptor of a process | ptrace, `pidfd_getfd`, setns, signals |
//! | a TCP port on every address of the host, one of them link-local | networks |
//! | an abstract socket, a System V segment, a key of the user keyring | what namespaces may forget |
//! | a decoy folder | writes that are led out of a sandbox |
//!
//! All but the files belong to one process, `tests/escape/victim.py`, which takes them away when its input ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// The content of the decoy's one file.
const OWN: &str = "the host's own";

/// What the victim says about itself, in its order.
const WORDS: [&str; 7] =
    ["VICTIM", "VICTIM_ADDRESS", "VICTIM_FILE", "SECRET_HANDLE", "SHM_KEY", "KEY", "HOST_PORT"];

/// The bait, taken away on drop.
pub struct Bait {
    folder: TempDir,
    name: String,
    secret: String,
    victim: Child,
    words: Vec<String>,
    link_local: String,
}

impl Bait {
    /// Lays it out.
    ///
    /// # Errors
    /// If any of it cannot be put in place; nothing would be proven without it.
    pub fn lay() -> Result<Bait> {
        let folder = tempfile::Builder::new().prefix("lazaret-bait-").tempdir().context("make a folder")?;
        let name = folder.path().file_name().context("a folder has a name")?.to_string_lossy().into_owned();
        // The folder's name is random, and says where the secret came from should it ever turn up.
        let secret = format!("secret-of-{name}");
        let file = folder.path().join("secret");
        fs::write(&file, &secret)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;

        let mut victim = Command::new("/usr/bin/python3");
        victim.args(["-c", include_str!("../../escape/victim.py")]);
        victim.env("SECRET", &secret).env("SECRET_FILE", &file).env("BAIT_NAME", &name);
        victim.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut victim = victim.spawn().context("start a process to steal from")?;
        let mut line = String::new();
        BufReader::new(victim.stdout.take().context("its output")?).read_line(&mut line)?;
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let link_local = link_local(victim.id());
        let bait = Bait { folder, name, secret, victim, words, link_local };
        ensure!(bait.words.len() == WORDS.len(), "the victim says {line:?}");
        fs::create_dir(bait.decoy())?;
        fs::write(bait.decoy().join("ptmx"), OWN)?;
        ensure!(ip_address("add", &bait.link_local)?, "give loopback the address {}", bait.link_local);
        Ok(bait)
    }

    /// The secret.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The file on the host that holds it.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// A folder of the host that nothing inside may change; it holds one file, `ptmx`.
    pub fn decoy(&self) -> PathBuf {
        self.folder.path().join("decoy")
    }

    /// A folder for what an attempt needs on the host.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// What has happened to the decoy: `None` if it is as it was, and nothing is mounted on it anywhere. Puts it back.
    ///
    /// # Errors
    /// If it cannot be looked at or put back.
    pub fn damage(&self) -> Result<Option<String>> {
        let mut names: Vec<String> = fs::read_dir(self.decoy())?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_>>()?;
        names.sort();
        let ptmx = self.decoy().join("ptmx");
        let kept = ptmx.symlink_metadata().is_ok_and(|found| found.is_file())
            && fs::read(&ptmx).is_ok_and(|content| content == OWN.as_bytes());
        if names != ["ptmx"] || !kept {
            for name in &names {
                let found = self.decoy().join(name);
                if found.symlink_metadata()?.is_dir() {
                    fs::remove_dir_all(found)?;
                } else {
                    fs::remove_file(found)?;
                }
            }
            fs::write(&ptmx, OWN)?;
            return Ok(Some(format!("the host's folder held {names:?} then")));
        }
        let decoy = self.decoy().to_string_lossy().into_owned();
        for process in fs::read_dir("/proc")?.flatten() {
            let mounts = fs::read_to_string(process.path().join("mountinfo")).unwrap_or_default();
            if mounts.lines().any(|line| line.split(' ').nth(4).is_some_and(|at| at.starts_with(&decoy))) {
                return Ok(Some("something was mounted on the host's folder".to_owned()));
            }
        }
        Ok(None)
    }

    /// What the programs inside are told.
    ///
    /// # Errors
    /// If the host's own addresses or disk cannot be found out.
    pub fn environment(&self) -> Result<Vec<(String, String)>> {
        let device = fs::metadata("/")?.dev();
        let pairs = [
            ("SECRET_FILE", self.file().to_string_lossy().into_owned()),
            ("SECRET_LENGTH", self.secret.len().to_string()),
            ("BAIT_NAME", self.name.clone()),
            ("HOST_ADDRESSES", host_addresses()?),
            ("DISK_MAJOR", rustix::fs::major(device).to_string()),
            ("DISK_MINOR", rustix::fs::minor(device).to_string()),
        ];
        let words = WORDS.iter().map(|&name| name.to_owned()).zip(self.words.iter().cloned());
        Ok(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(words).collect())
    }
}

impl Drop for Bait {
    fn drop(&mut self) {
        if !ip_address("del", &self.link_local).is_ok_and(|done| done) {
            eprintln!("could not take {} from loopback", self.link_local);
        }
        drop(self.victim.stdin.take());
        let _ = self.victim.wait();
    }
}

/// An address of the range that clouds use for metadata, different for each bait.
fn link_local(pid: u32) -> String {
    let [_, _, high, low] = pid.to_be_bytes();
    // The first and last 256 addresses are reserved (RFC 3927).
    format!("169.254.{}.{low}/32", high.clamp(1, 254))
}

fn ip_address(verb: &str, address: &str) -> Result<bool> {
    Ok(Command::new("ip").args(["address", verb, address, "dev", "lo"]).status()?.success())
}

/// Every address of every interface, loopback's and link-local ones included.
fn host_addresses() -> Result<String> {
    let output = Command::new("ip").args(["-oneline", "address"]).output().context("ask for addresses")?;
    let text = String::from_utf8(output.stdout)?;
    let addresses: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_whitespace().nth(3))
        .filter_map(|address| address.split('/').next())
        .filter(|address| !address.starts_with("fe80"))
        .collect();
    ensure!(addresses.contains(&"127.0.0.1"), "the host has no loopback: {text}");
    Ok(addresses.join(" "))
}
