//! What of the contract reaches machines and so takes a grant: one table, of which grants, linker, lock, explain, cassettes and
//! documents are made.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A part of the contract that takes a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interface {
    /// Which machines there are, and whether they answer.
    Inventory,
    /// Files and directories.
    Files,
    /// Commands, word by word.
    Exec,
    /// Commands as a shell reads them, on machines whose policy allows that.
    Shell,
    /// Files that are copied from one machine to another.
    Transfer,
    /// What a plugin keeps of a host from one call to the next.
    Baselines,
}

/// What the table says of one.
struct Row {
    name: &'static str,
    /// The interface of `wit/` that it is, and the functions if it is some of them alone.
    imported: (&'static str, &'static [&'static str]),
}

impl Interface {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 6] = [Self::Inventory, Self::Files, Self::Exec, Self::Shell, Self::Transfer, Self::Baselines];

    /// The table.
    const fn row(self) -> Row {
        match self {
            Self::Inventory => Row { name: "inventory", imported: ("inventory", &[]) },
            Self::Files => Row { name: "files", imported: ("files", &[]) },
            Self::Exec => Row { name: "exec", imported: ("exec", &["run", "as-root", "run-each"]) },
            Self::Shell => Row { name: "shell", imported: ("exec", &["shell", "shell-each"]) },
            Self::Transfer => Row { name: "transfer", imported: ("transfer", &[]) },
            Self::Baselines => Row { name: "baselines", imported: ("baselines", &[]) },
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|interface| interface.name() == name)
    }

    /// Its name in `scout.toml`, `scout.lock` and cassettes.
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The interface of `wit/` that it is, and the functions if it is some of them alone.
    pub fn imported(self) -> (&'static str, &'static [&'static str]) {
        self.row().imported
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Interface {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Interface {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const NAMES: &[&str] = &[
            Interface::Inventory.name(),
            Interface::Files.name(),
            Interface::Exec.name(),
            Interface::Shell.name(),
            Interface::Transfer.name(),
            Interface::Baselines.name(),
        ];
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| D::Error::unknown_variant(&name, NAMES))
    }
}

/// The interfaces that are granted, or imported.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Grants(u8);

impl Grants {
    /// No interface.
    pub const NONE: Self = Self(0);
    /// Every interface.
    pub const ALL: Self = Self((1 << Interface::ALL.len()) - 1);

    /// This interface alone.
    pub const fn only(interface: Interface) -> Self {
        Self(interface.bit())
    }

    /// With this interface too.
    #[must_use]
    pub const fn with(self, interface: Interface) -> Self {
        Self(self.0 | interface.bit())
    }

    /// Without this interface.
    #[must_use]
    pub const fn without(self, interface: Interface) -> Self {
        Self(self.0 & !interface.bit())
    }

    /// Whether this interface is among them.
    pub const fn has(self, interface: Interface) -> bool {
        self.0 & interface.bit() != 0
    }

    /// Whether nothing is here that is not there.
    pub const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Those that are here, in the order in which they are told.
    pub fn iter(self) -> impl Iterator<Item = Interface> {
        Interface::ALL.into_iter().filter(move |interface| self.has(*interface))
    }
}

impl FromIterator<Interface> for Grants {
    fn from_iter<I: IntoIterator<Item = Interface>>(interfaces: I) -> Self {
        interfaces.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for Grants {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Grants {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Interface>::deserialize(deserializer).map(|given| given.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_there_in_their_order_and_found_by_their_names() {
        for (at, interface) in Interface::ALL.into_iter().enumerate() {
            assert_eq!((interface as usize, Interface::named(interface.name())), (at, Some(interface)));
        }
        assert_eq!(Interface::named("blobs"), None);
    }

    #[test]
    fn a_set_holds_what_was_put_into_it() {
        let exec = Grants::only(Interface::Exec);
        assert_eq!(exec.with(Interface::Files).iter().collect::<Vec<_>>(), [Interface::Files, Interface::Exec]);
        assert_eq!(Grants::ALL.iter().count(), Interface::ALL.len());
        assert_eq!(Interface::ALL.into_iter().collect::<Grants>(), Grants::ALL);
        assert!(Grants::NONE.within(exec) && exec.within(Grants::ALL) && !Grants::ALL.within(exec));
        assert!(!Grants::ALL.without(Interface::Shell).has(Interface::Shell));
        assert_eq!(format!("{:?}", exec.with(Interface::Shell)), "{Exec, Shell}");
    }
}
