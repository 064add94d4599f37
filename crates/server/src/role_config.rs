//! `[roles]` of the configuration: recipes for new sandboxes, over the ones that are built in.

use std::collections::BTreeMap;

use anyhow::Context;
use lazaret_core::{PackageManager, Role, RoleTable};
use serde::Deserialize;

/// The roles that every server offers.
const BUILT_IN: &str = include_str!("roles.toml");

/// One role.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoleConfig {
    /// For people; the id unless set.
    name: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    icon: String,
    #[serde(default)]
    packages: Packages,
    /// Text for `sh`, run as root when the packages are there.
    script: Option<String>,
}

/// Packages by package manager.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Packages {
    apt: Vec<String>,
    apk: Vec<String>,
    dnf: Vec<String>,
    yum: Vec<String>,
    pacman: Vec<String>,
    zypper: Vec<String>,
}

impl RoleConfig {
    fn role(&self, id: &str) -> Role {
        let Packages { apt, apk, dnf, yum, pacman, zypper } = self.packages.clone();
        let packages = [
            (PackageManager::Apt, apt),
            (PackageManager::Apk, apk),
            (PackageManager::Dnf, dnf),
            (PackageManager::Yum, yum),
            (PackageManager::Pacman, pacman),
            (PackageManager::Zypper, zypper),
        ];
        Role {
            id: id.to_owned(),
            name: self.name.clone().unwrap_or_else(|| id.to_owned()),
            description: self.description.clone(),
            icon: self.icon.clone(),
            packages: packages.into_iter().filter(|(_, packages)| !packages.is_empty()).collect(),
            script: self.script.clone(),
        }
    }
}

/// The built-in roles with the configured ones over them.
pub(crate) fn table(configured: &BTreeMap<String, RoleConfig>) -> anyhow::Result<RoleTable> {
    let built_in: BTreeMap<String, RoleConfig> =
        toml::from_str(BUILT_IN).context("reading the built-in roles")?;
    let mut table = RoleTable::default();
    for (id, config) in built_in.iter().chain(configured) {
        table.insert(config.role(id)).with_context(|| format!("roles.{id:?}"))?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<RoleTable> {
        table(&toml::from_str(text)?)
    }

    #[test]
    fn the_built_in_roles_are_there_with_packages_for_every_package_manager() {
        let table = parse("").unwrap();
        let ids: Vec<&str> = table.iter().map(|role| role.id.as_str()).collect();
        let want =
            ["barebone", "devops", "go", "neovim", "node", "overemployed", "python", "rust", "standard"];
        assert_eq!(ids, want);
        for role in table.iter() {
            assert_eq!(role.is_empty(), role.id == "barebone", "{}", role.id);
            for manager in PackageManager::ALL {
                let has_some = !role.packages_for(manager).is_empty();
                assert_eq!(has_some, role.id != "barebone", "{} with {}", role.id, manager.name());
            }
        }
    }

    #[test]
    fn a_configured_role_is_added_or_takes_the_place_of_a_built_in_one() {
        let text = "[go]\nname = \"Our Go\"\npackages = { apt = [\"corp-go\"] }\n\
                    [data]\nscript = \"echo hi > /etc/motd\"";
        let table = parse(text).unwrap();
        let go = table.get("go").unwrap();
        assert_eq!(
            (go.name.as_str(), go.packages_for(PackageManager::Apt)),
            ("Our Go", ["corp-go".to_owned()].as_slice())
        );
        assert!(go.packages_for(PackageManager::Apk).is_empty(), "nothing is left of the other");
        let data = table.get("data").unwrap();
        assert_eq!((data.name.as_str(), data.installs(), data.is_empty()), ("data", false, false));
    }

    #[test]
    fn a_wrong_role_is_refused_with_what_is_wrong() {
        for (text, want) in [
            ("[web]\npakages = {}", "unknown field `pakages`"),
            ("[web]\npackages = { brew = [\"x\"] }", "unknown field `brew`"),
            (
                "[web]\npackages = { apt = [\"-y\"] }",
                "roles.\"web\": packages.apt: '-y' is not the name of a package",
            ),
            ("[web]\nscript = \"\"", "roles.\"web\": script: is empty"),
            ("[web]\nname = \"\"", "roles.\"web\": name: is empty"),
            ("[\"a b\"]", "roles.\"a b\": id: 'a b' is not 1 to 63"),
        ] {
            let error = parse(text).map(drop).expect_err(text);
            assert!(format!("{error:#}").contains(want), "{text}: {error:#}");
        }
    }
}
