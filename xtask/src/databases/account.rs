//! The account that a database runs under: ours, unless we are root.
//!
//! PostgreSQL refuses root, and what listens on a port should not be root in any case.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::failure::Failure;
use crate::surroundings;

/// An unprivileged account of the system.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account to change to: the first of `names` that exists, else `nobody`. None when we are not root.
    pub(super) fn to_change_to(names: &[&str]) -> Result<Option<Self>, Failure> {
        if !surroundings::is_root() {
            return Ok(None);
        }
        let accounts = std::fs::read_to_string("/etc/passwd")
            .map_err(|error| Failure::because("could not read the accounts", error))?;
        let found = names.iter().chain(&["nobody"]).find_map(|name| Self::find(&accounts, name));
        found
            .map(Some)
            .ok_or_else(|| Failure::Failed("there is no account but root's to run a database".into()))
    }

    fn find(accounts: &str, name: &str) -> Option<Self> {
        let mut fields =
            accounts.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.split(':');
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        (uid != 0).then_some(Self { uid, gid })
    }
}

/// Lets a program run under the account.
pub(super) fn run_as(command: &mut Command, account: Option<Account>) {
    if let Some(account) = account {
        command.uid(account.uid).gid(account.gid);
    }
}

/// Makes a path the account's, and nobody else's to read.
pub(super) fn own(path: &Path, mode: u32, account: Option<Account>) -> Result<(), Failure> {
    let made =
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).and_then(|()| match account {
            Some(account) => chown(path, Some(account.uid), Some(account.gid)),
            None => Ok(()),
        });
    made.map_err(|error| Failure::because(format!("could not hand over {}", path.display()), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name_and_never_root() {
        let accounts =
            "root:x:0:0:root:/:/bin/sh\npostgres2:x:5:6::/:\npostgres:x:101:104:PostgreSQL,,,:/var:/bin/sh\n";
        assert_eq!(Account::find(accounts, "postgres"), Some(Account { uid: 101, gid: 104 }));
        assert_eq!(Account::find(accounts, "root"), None);
        assert_eq!(Account::find(accounts, "post"), None);
    }
}
