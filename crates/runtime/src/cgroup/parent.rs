//! Our parent group in every hierarchy that serves a controller, and the sandboxes' groups below it.

use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::dir::Dir;
use super::group::{Group, check_name};
use super::layout::{LegacyMount, UnifiedMount};
use super::{Controller, Error, Layout, Limits, limits};

/// Where our parent group goes, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The parent's name, `lazaret` by default. Two servers on one machine need two names.
    pub name: String,
    /// Below which group it is made.
    pub place: Place,
}

impl Default for Settings {
    fn default() -> Self {
        Self { name: "lazaret".to_owned(), place: Place::Auto }
    }
}

/// The group below which our parent group is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Place {
    /// The group that systemd delegated to our unit, if it did, else [`Place::Top`].
    #[default]
    Auto,
    /// The top of each hierarchy, as far as it is mounted here.
    Top,
    /// The group that this process is in, which then must be ours to divide.
    Own,
}

/// The two generations of the kernel's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// cgroup v1.
    Legacy,
    /// cgroup v2.
    Unified,
}

/// One hierarchy that we use, and what for.
#[derive(Debug)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    /// Our parent group in it.
    pub(super) parent: Dir,
    /// The group that the parent lies in.
    base: Dir,
    pub(super) controllers: Vec<Controller>,
}

/// Our place in the machine's cgroups: makes, finds and lists the groups of sandboxes.
///
/// It holds two descriptors for each hierarchy and can be cloned; it needs no mount to be visible once opened.
#[derive(Debug, Clone)]
pub struct Cgroups {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    /// The parent's name in each hierarchy.
    name: String,
    pub(super) hierarchies: Vec<Hierarchy>,
}

impl Inner {
    /// The hierarchy that does this job, `None` when no mounted one does.
    pub(super) fn home(&self, controller: Controller) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|hierarchy| hierarchy.controllers.contains(&controller))
    }
}

impl Cgroups {
    /// Makes our parent group where it is not there yet, and enables on cgroup v2 what can be enabled.
    ///
    /// Controllers that the machine lacks are no error here: ask [`Cgroups::missing`].
    ///
    /// # Errors
    /// [`Error::NotMounted`] without any hierarchy; [`Error::Io`] when the groups may not be changed, such as in
    /// a container that sees them read-only.
    pub fn open(layout: &Layout, settings: &Settings) -> Result<Self, Error> {
        check_name(&settings.name)?;
        let mut hierarchies: Vec<Hierarchy> = Vec::new();
        if let Some(mount) = &layout.unified {
            hierarchies.push(open_unified(mount, settings)?);
        }
        for mount in &layout.legacy {
            let controllers = Controller::ALL
                .into_iter()
                .filter(|controller| mount.controllers.iter().any(|name| name == controller.name()))
                .filter(|controller| !hierarchies.iter().any(|other| other.controllers.contains(controller)))
                .collect::<Vec<_>>();
            if !controllers.is_empty() {
                hierarchies.push(open_legacy(mount, controllers, settings)?);
            }
        }
        if hierarchies.is_empty() {
            return Err(Error::NotMounted);
        }
        Ok(Self { inner: Arc::new(Inner { name: settings.name.clone(), hierarchies }) })
    }

    /// Whether some hierarchy here does this job.
    pub fn serves(&self, controller: Controller) -> bool {
        self.inner.home(controller).is_some()
    }

    /// The controllers that no hierarchy here serves. [`Cgroups::create`] refuses a limit that needs one of them;
    /// without [`Controller::Freezer`] a sandbox cannot be paused.
    pub fn missing(&self) -> Vec<Controller> {
        Controller::ALL.into_iter().filter(|controller| !self.serves(*controller)).collect()
    }

    /// Makes the group of one sandbox, with its limits in force before the first process enters. A failure
    /// leaves nothing behind.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Limit`], [`Error::Missing`] for what was asked; [`Error::Exists`]; [`Error::Io`].
    pub fn create(&self, name: &str, limits: &Limits) -> Result<Group, Error> {
        check_name(name)?;
        self.check(limits)?;
        let mut made: Vec<&Hierarchy> = Vec::new();
        let result = self.inner.hierarchies.iter().try_for_each(|hierarchy| {
            if !hierarchy.parent.make(name)? {
                return Err(Error::Exists(name.to_owned()));
            }
            made.push(hierarchy);
            limits::write(&hierarchy.parent, hierarchy.version, &hierarchy.controllers, name, limits)
        });
        match result {
            Ok(()) => Ok(self.group(name)),
            Err(error) => {
                for hierarchy in made {
                    // The directory is new and empty. Should its removal fail all the same, the sweep at the next
                    // start finds it by `list`; what the caller has to hear is the first failure.
                    let _ = hierarchy.parent.remove(name);
                }
                Err(error)
            }
        }
    }

    /// The group of this name, `None` when no hierarchy has it. One that only some hierarchies have is the rest
    /// of an interrupted creation or removal, fit for [`Group::kill`] and [`Group::remove`].
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn find(&self, name: &str) -> Result<Option<Group>, Error> {
        check_name(name)?;
        let exists = self.inner.hierarchies.iter().any(|hierarchy| hierarchy.parent.has(name));
        Ok(exists.then(|| self.group(name)))
    }

    /// Names of all groups below our parent in any hierarchy, sorted.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn list(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for hierarchy in &self.inner.hierarchies {
            names.extend(hierarchy.parent.children()?);
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Removes our parent group from every hierarchy: for uninstalling, and for tests.
    ///
    /// # Errors
    /// [`Error::Io`] with `EBUSY` while a sandbox's group is left.
    pub fn dismantle(self) -> Result<(), Error> {
        for hierarchy in &self.inner.hierarchies {
            match hierarchy.base.remove(&self.inner.name) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(source) => return Err(hierarchy.base.error("remove", &self.inner.name, source)),
            }
        }
        Ok(())
    }

    /// Refuses limits that are wrong in themselves or cannot be enforced here.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), Error> {
        limits.check()?;
        let mut needed = vec![Controller::Memory, Controller::Pids];
        needed.extend(limits.cpu.map(|_| Controller::Cpu));
        match needed.into_iter().find(|controller| !self.serves(*controller)) {
            Some(missing) => Err(Error::Missing(missing)),
            None => Ok(()),
        }
    }

    fn group(&self, name: &str) -> Group {
        Group::new(self.clone(), name.to_owned())
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }
}

fn open_legacy(
    mount: &LegacyMount,
    controllers: Vec<Controller>,
    settings: &Settings,
) -> Result<Hierarchy, Error> {
    let base = match settings.place {
        Place::Own => Dir::open(&mount.dir.join(&mount.own))?,
        // systemd delegates no v1 controllers safely, so there is nothing to look for.
        Place::Auto | Place::Top => Dir::open(&mount.dir)?,
    };
    base.make(&settings.name)?;
    let parent = base.open_child(&settings.name)?;
    // Kernels before 5.11 can mount memory without it, and then a parent's limit would not bind its children.
    const HIERARCHICAL: &str = "memory.use_hierarchy";
    if controllers.contains(&Controller::Memory)
        && parent.has(HIERARCHICAL)
        && parent.read_number(HIERARCHICAL)? == Some(0)
    {
        parent.write(HIERARCHICAL, "1")?;
    }
    Ok(Hierarchy { version: Version::Legacy, parent, base, controllers })
}

fn open_unified(mount: &UnifiedMount, settings: &Settings) -> Result<Hierarchy, Error> {
    let own = mount.dir.join(&mount.own);
    let base = match settings.place {
        Place::Top => Dir::open(&mount.dir)?,
        Place::Own => Dir::open(&own)?,
        Place::Auto => Dir::open(delegated(&own, &mount.dir).unwrap_or(&mount.dir))?,
    };
    base.make(&settings.name)?;
    let parent = base.open_child(&settings.name)?;
    let mut controllers = enable(&base, &settings.name)?;
    controllers.retain(|controller| {
        enabled(&parent, "cgroup.controllers").is_ok_and(|all| all.contains(controller))
    });
    for controller in &controllers {
        parent.write("cgroup.subtree_control", &format!("+{controller}"))?;
    }
    if parent.has("cgroup.freeze") {
        controllers.push(Controller::Freezer);
    }
    if parent.has("cpu.stat") {
        controllers.push(Controller::CpuAccounting);
    }
    Ok(Hierarchy { version: Version::Unified, parent, base, controllers })
}

/// The group that systemd handed over to this service: its own one, or the one above when systemd put the
/// service's processes into a leaf already (`DelegateSubgroup=`). systemd marks such a group with an attribute.
fn delegated<'a>(own: &'a Path, top: &Path) -> Option<&'a Path> {
    [Some(own), own.parent()].into_iter().flatten().find(|path| {
        path.starts_with(top)
            && *path != top
            && ["user.delegate", "trusted.delegate"].iter().any(|name| {
                let mut value = [0_u8; 1];
                rustix::fs::getxattr(*path, *name, &mut value[..]) == Ok(1) && value == *b"1"
            })
    })
}

/// Hands the limiting controllers that `base` has on to its children, and says which those are.
fn enable(base: &Dir, name: &str) -> Result<Vec<Controller>, Error> {
    let available = enabled(base, "cgroup.controllers")?;
    let handed_on = enabled(base, "cgroup.subtree_control")?;
    for controller in available.iter().filter(|controller| !handed_on.contains(controller)) {
        // One by one: a write with several names fails as a whole.
        let value = format!("+{controller}");
        match base.write("cgroup.subtree_control", &value) {
            Ok(()) => {}
            Err(error) if error.errno() == Some(Errno::BUSY) => {
                // A group with processes of its own may not hand controllers on, unless it is the very top.
                vacate(base, name)?;
                base.write("cgroup.subtree_control", &value)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(available)
}

/// The limiting controllers among the names in a v2 file.
fn enabled(dir: &Dir, file: &str) -> Result<Vec<Controller>, Error> {
    let names = dir.read(file)?;
    Ok([Controller::Memory, Controller::Cpu, Controller::Pids]
        .into_iter()
        .filter(|controller| names.split_whitespace().any(|name| name == controller.name()))
        .collect())
}

/// Rounds of moving processes out of a group, each of which may have forked meanwhile.
const VACATE_ROUNDS: usize = 16;

/// Moves the processes of a delegated group, this server among them, into a leaf beside our parent.
fn vacate(base: &Dir, name: &str) -> Result<(), Error> {
    let leaf = format!("{name}-server");
    base.make(&leaf)?;
    for _ in 0..VACATE_ROUNDS {
        let processes = base.read("cgroup.procs")?;
        if processes.trim().is_empty() {
            return Ok(());
        }
        for process in processes.lines() {
            match base.write(&format!("{leaf}/cgroup.procs"), process) {
                // It has exited since it was listed.
                Err(error) if error.errno() == Some(Errno::SRCH) => {}
                other => other?,
            }
        }
    }
    Err(base.error("empty", "cgroup.procs", Errno::BUSY))
}
