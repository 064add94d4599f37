//! What the driver script (`driver.sh`) says, and what is made of it.
//!
//! It speaks from inside a sandbox, whose tenant may have put anything in its place. So lines have a bound, steps only go
//! forward, counts only up to what the role wants, a package is only named if the role names it, and of what programs
//! complain one short line without control characters is repeated. Nothing that is said changes anything but the text of
//! a role's status.

use std::collections::BTreeSet;

use crate::{
    ExecExit, ExecOutput, PackageCount, PackageManager, Role, RoleStatus, RoleStep, SandboxRole, limits,
};

/// What begins a line of the script's own.
const MARK: &str = "@role ";
/// Missing packages that a message names; further ones are counted.
const MISSING_SHOWN: usize = 16;
/// The last bytes of standard error that are kept, for the complaint in them: some lines of any program's.
const TAIL_BYTES: usize = 4 * limits::ROLE_LINE_MAX_BYTES;

/// A step further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct News {
    pub(super) step: RoleStep,
    pub(super) packages: Option<PackageCount>,
}

/// Reads the script's output, in pieces of any size.
pub(super) struct Progress<'a> {
    role: &'a Role,
    manager: Option<PackageManager>,
    step: RoleStep,
    installed: Option<u32>,
    missing: BTreeSet<&'a str>,
    line: Line,
    tail: Vec<u8>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(role: &'a Role) -> Self {
        Self {
            role,
            manager: None,
            step: RoleStep::Started,
            installed: None,
            missing: BTreeSet::new(),
            line: Line::default(),
            tail: Vec::new(),
        }
    }

    /// Takes a piece of standard output.
    pub(super) fn said(&mut self, bytes: &[u8]) -> Vec<News> {
        let mut news = Vec::new();
        for &byte in bytes {
            if let Some(line) = self.line.push(byte) {
                news.extend(self.understand(&line));
            }
        }
        news
    }

    /// Takes a piece of standard error.
    pub(super) fn complained(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]);
        let over = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..over);
    }

    /// A part of the output is lost: the line that it cut is none.
    pub(super) fn skipped(&mut self) {
        self.line = Line::Skipping;
    }

    fn understand(&mut self, line: &str) -> Option<News> {
        let (word, rest) = line.strip_prefix(MARK)?.split_once(' ').unwrap_or((line.strip_prefix(MARK)?, ""));
        match word {
            "manager" if self.manager.is_none() => {
                self.manager = PackageManager::ALL.into_iter().find(|manager| manager.name() == rest);
                None
            }
            "index" if self.role.installs() => self.advance(RoleStep::Index),
            "packages" => self.count(rest.parse().ok()?),
            "missing" => {
                self.missing.extend(self.wanted().iter().map(String::as_str).find(|wanted| *wanted == rest));
                None
            }
            "script" if self.role.script.is_some() => self.advance(RoleStep::Script),
            _ => None,
        }
    }

    fn wanted(&self) -> &'a [String] {
        self.manager.map_or(&[], |manager| self.role.packages_for(manager))
    }

    fn advance(&mut self, step: RoleStep) -> Option<News> {
        (self.step < step).then(|| {
            self.step = step;
            News { step, packages: None }
        })
    }

    fn count(&mut self, installed: u32) -> Option<News> {
        let wanted = u32::try_from(self.wanted().len()).ok()?;
        let rises = self.installed.is_none_or(|before| before < installed);
        if self.step > RoleStep::Packages || wanted == 0 || installed > wanted || !rises {
            return None;
        }
        self.step = RoleStep::Packages;
        self.installed = Some(installed);
        Some(News { step: self.step, packages: Some(PackageCount { installed, wanted }) })
    }

    /// What became of the role, now that the script has ended.
    pub(super) fn end(&self, output: &ExecOutput) -> SandboxRole {
        let (status, message) = match output.exit {
            _ if output.timed_out => (RoleStatus::Failed, Some(too_long())),
            _ if output.oom => {
                (RoleStatus::Failed, Some("the sandbox has too little memory for it".to_owned()))
            }
            ExecExit::Code(0) => (RoleStatus::Applied, self.missing()),
            ExecExit::Code(code) => (RoleStatus::Failed, Some(self.failure(code))),
            ExecExit::Signal(signal) => (RoleStatus::Failed, Some(format!("signal {signal} ended it"))),
        };
        SandboxRole { id: self.role.id.clone(), status, message }
    }

    fn failure(&self, code: u8) -> String {
        let complaint = || self.complaint().map(|text| format!(": {text}")).unwrap_or_default();
        match code {
            10 => "no package manager in the image".to_owned(),
            11 => {
                let manager = self.manager.map_or("the image's package manager", PackageManager::name);
                format!("the role has no packages for {manager}")
            }
            12 => format!("the package index could not be read{}", complaint()),
            13 => self.missing().unwrap_or_else(|| "no package was installed".to_owned()),
            14 => {
                let missing = self.missing().map(|missing| format!("; {missing}")).unwrap_or_default();
                format!("the script failed{}{missing}", complaint())
            }
            code => format!("it ended with code {code}{}", complaint()),
        }
    }

    /// The packages that are not there, if there are such.
    fn missing(&self) -> Option<String> {
        if self.missing.is_empty() {
            return None;
        }
        let shown: Vec<&str> = self.missing.iter().copied().take(MISSING_SHOWN).collect();
        let more = match self.missing.len().saturating_sub(MISSING_SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Some(format!("packages not installed: {}{more}", shown.join(", ")))
    }

    /// The last line of standard error that says something.
    fn complaint(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.tail);
        let clean = |line: &str| -> String {
            let visible = line.chars().filter(|c| !c.is_control());
            visible.take(limits::ROLE_COMPLAINT_MAX_CHARS).collect::<String>().trim().to_owned()
        };
        text.lines().rev().map(clean).find(|line| !line.is_empty())
    }
}

/// That applying a role was given up.
pub(super) fn too_long() -> String {
    format!("it was not done within {} s", limits::ROLE_TIMEOUT.as_secs())
}

/// A line that is coming in.
enum Line {
    Begun(Vec<u8>),
    /// It is too long to be one of ours: it is not kept.
    Skipping,
}

impl Default for Line {
    fn default() -> Self {
        Self::Begun(Vec::new())
    }
}

impl Line {
    /// The line that this byte ends, if it ends one that is text.
    fn push(&mut self, byte: u8) -> Option<String> {
        match self {
            _ if byte == b'\n' => match std::mem::take(self) {
                Self::Begun(line) => String::from_utf8(line).ok(),
                Self::Skipping => None,
            },
            Self::Begun(line) if line.len() < limits::ROLE_LINE_MAX_BYTES => {
                line.push(byte);
                None
            }
            Self::Begun(_) | Self::Skipping => {
                *self = Self::Skipping;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    fn role() -> Role {
        let packages = ["git", "jq", "zsh"].map(str::to_owned).to_vec();
        Role {
            id: "tools".to_owned(),
            name: "Tools".to_owned(),
            packages: BTreeMap::from([(PackageManager::Apt, packages)]),
            script: Some("true".to_owned()),
            ..Role::default()
        }
    }

    fn exited(code: u8) -> ExecOutput {
        let duration = Duration::ZERO;
        ExecOutput { exit: ExecExit::Code(code), timed_out: false, oom: false, truncated: false, duration }
    }

    fn step(step: RoleStep) -> News {
        News { step, packages: None }
    }

    fn packages(installed: u32) -> News {
        News { step: RoleStep::Packages, packages: Some(PackageCount { installed, wanted: 3 }) }
    }

    fn message(progress: &Progress<'_>, code: u8) -> (RoleStatus, String) {
        let SandboxRole { status, message, .. } = progress.end(&exited(code));
        (status, message.unwrap_or_default())
    }

    #[test]
    fn progress_is_read_in_pieces_and_a_missing_package_is_named() {
        let role = role();
        let mut progress = Progress::new(&role);
        let text = "@role manager apt\n@role index\n@role packages 0\n@role packages 1\n@role missing jq\n\
                    @role packages 2\n@role script\n";
        let news: Vec<News> = text.as_bytes().chunks(3).flat_map(|piece| progress.said(piece)).collect();
        let want = [step(RoleStep::Index), packages(0), packages(1), packages(2), step(RoleStep::Script)];
        assert_eq!(news, want);
        assert_eq!(message(&progress, 0), (RoleStatus::Applied, "packages not installed: jq".to_owned()));
        let failed = "the script failed; packages not installed: jq".to_owned();
        assert_eq!(message(&progress, 14), (RoleStatus::Failed, failed));
    }

    #[test]
    fn what_a_tenant_says_in_the_scripts_place_is_bounded_and_not_believed() {
        let role = role();
        let mut progress = Progress::new(&role);
        assert_eq!(progress.said(b"@role packages 1\n"), [], "of no package manager");
        progress.said(b"@role manager apt\n@role manager apk\n");
        for lie in [
            "@role packages 4",
            "@role packages -1",
            "@role packages 99999999999999999999",
            "@role applied",
            "@role failed",
            "role index",
            " @role index",
            "@role missing /etc/shadow\u{1b}[2J",
            "@role missing vim",
            "@role missing",
            "@role",
            "",
            "@role \u{0}",
        ] {
            assert_eq!(progress.said(format!("{lie}\n").as_bytes()), [], "{lie:?}");
        }
        assert_eq!(progress.said(b"@role packages 2\n@role packages 2\n@role packages 1\n"), [packages(2)]);
        assert_eq!(progress.said(b"@role index\n"), [], "a step back");
        assert_eq!(message(&progress, 0), (RoleStatus::Applied, String::new()));

        let endless = [b"@role script ".as_slice(), &vec![b'x'; 1 << 20]].concat();
        assert_eq!(progress.said(&endless), []);
        assert!(matches!(progress.line, Line::Skipping), "what is too long is not kept");
        assert_eq!(progress.said(b"@role script\n"), [], "it is the end of that line");
        assert_eq!(progress.said(b"\xff@role script\n@role script\n"), [step(RoleStep::Script)]);
        let again: Vec<News> =
            (0..1000).flat_map(|_| progress.said(b"@role index\n@role script\n")).collect();
        assert_eq!(again, []);
    }

    #[test]
    fn a_role_of_a_script_alone_counts_nothing() {
        let role = Role { packages: BTreeMap::new(), ..role() };
        let mut progress = Progress::new(&role);
        let text = b"@role manager apt\n@role index\n@role packages 0\n@role script\n";
        assert_eq!(progress.said(text), [step(RoleStep::Script)]);
    }

    #[test]
    fn a_line_that_was_cut_by_lost_output_is_none() {
        let role = role();
        let mut progress = Progress::new(&role);
        progress.said(b"@role manager apt\n@role mis");
        progress.skipped();
        assert_eq!(progress.said(b"@role script\n@role packages 3\n"), [packages(3)]);
    }

    #[test]
    fn a_complaint_is_one_short_line_without_control_characters() {
        let role = role();
        let mut progress = Progress::new(&role);
        progress.complained(&vec![b'y'; 1 << 20]);
        assert!(progress.tail.len() <= TAIL_BYTES);
        progress.complained(format!("\nE: \u{1b}[31mno\r mirror\u{7} {}\n\n \n", "x".repeat(500)).as_bytes());
        let (status, text) = message(&progress, 12);
        assert_eq!(status, RoleStatus::Failed);
        assert!(text.starts_with("the package index could not be read: E: [31mno mirror xxx"), "{text}");
        assert!(text.len() < 260 && !text.contains(char::is_control), "{text}");
    }

    #[test]
    fn every_way_to_end_is_told_plainly() {
        let role = role();
        let mut progress = Progress::new(&role);
        assert_eq!(message(&progress, 10).1, "no package manager in the image");
        assert_eq!(message(&progress, 13).1, "no package was installed");
        assert_eq!(message(&progress, 127).1, "it ended with code 127");
        progress.said(b"@role manager zypper\n");
        assert_eq!(message(&progress, 11).1, "the role has no packages for zypper");
        let of = |output: ExecOutput| progress.end(&output).message.unwrap();
        assert_eq!(of(ExecOutput { timed_out: true, ..exited(0) }), "it was not done within 300 s");
        assert_eq!(of(ExecOutput { exit: ExecExit::Signal(9), ..exited(0) }), "signal 9 ended it");
        assert_eq!(of(ExecOutput { oom: true, ..exited(137) }), "the sandbox has too little memory for it");
    }

    #[test]
    fn a_long_list_of_missing_packages_is_cut() {
        let mut role = role();
        let many: Vec<String> = (10..40).map(|number| format!("p{number}")).collect();
        role.packages.insert(PackageManager::Apt, many.clone());
        let mut progress = Progress::new(&role);
        progress.said(b"@role manager apt\n");
        for package in &many {
            progress.said(format!("@role missing {package}\n").as_bytes());
        }
        let (_, text) = message(&progress, 13);
        assert!(text.ends_with("p25 and 14 more"), "{text}");
    }
}
