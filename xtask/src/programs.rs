//! The system's programs that tests and benchmarks need, and how they come to be there.
//!
//! Where it may (root, with `apt-get`), a missing one is installed; else it is named with
//! the one line that installs it and with what is skipped. Under `CI=true` nothing is skipped.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Outcome};
use crate::{databases, process, surroundings};

/// A program, the Debian package that holds it, and what can't run without it.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
    pub(crate) used_by: &'static str,
}

impl Program {
    fn is_there(&self) -> bool {
        match self.name {
            // Not on the path where packages put it, or under another name.
            "postgres" => databases::find_postgres().is_some(),
            "redis-server" => databases::find_redis().is_some(),
            name => surroundings::find_program(name).is_some(),
        }
    }
}

/// What the tests need. (A C compiler is not listed: without one not even this program links.)
pub(crate) const FOR_TESTS: &[Program] = &[
    Program { name: "curl", package: "curl", used_by: "the test that runs the README's `curl`" },
    Program { name: "kill", package: "procps", used_by: "the tests of shutdown and of a crash" },
    Program { name: "postgres", package: "postgresql", used_by: "every test on PostgreSQL" },
    Program { name: "redis-server", package: "redis-server", used_by: "every test on Redis" },
];

/// What the benchmarks need.
pub(crate) const FOR_BENCHMARKS: &[Program] = &[Program {
    name: "taskset",
    package: "util-linux",
    used_by: "the pinning of servers and load to cores",
}];

/// Sees to it that the programs are there.
///
/// # Errors
/// When one stays missing and this is continuous integration.
pub(crate) fn provide(programs: &[Program]) -> Outcome {
    if !missing(programs).is_empty()
        && surroundings::is_root()
        && surroundings::find_program("apt-get").is_some()
    {
        install(&missing(programs));
    }
    let missing = missing(programs);
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("missing programs; this line installs them:\n  {}", install_line(&missing));
    for program in &missing {
        eprintln!("skipped without `{}`: {}", program.name, program.used_by);
    }
    if surroundings::is_ci() {
        return Err(Failure::Failed("nothing may be skipped under CI=true".into()));
    }
    Ok(())
}

fn missing(programs: &[Program]) -> Vec<&Program> {
    programs.iter().filter(|program| !program.is_there()).collect()
}

fn install_line(programs: &[&Program]) -> String {
    let packages: Vec<_> = programs.iter().map(|program| program.package).collect();
    format!("sudo apt-get install -y {}", packages.join(" "))
}

/// Tries to install; whether it worked is seen by looking for the programs again.
fn install(programs: &[&Program]) {
    let _quiet = NoServices::hold(Path::new("/usr/sbin/policy-rc.d"));
    let packages = programs.iter().map(|program| program.package);
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        command
    };
    let steps = [
        process::run(apt().args(["update", "-q"])),
        process::run(apt().args(["install", "-y", "-q", "--no-install-recommends"]).args(packages)),
    ];
    for failure in steps.into_iter().filter_map(Result::err) {
        eprintln!("apt-get failed (exit status {})", failure.status());
    }
}

/// Keeps packages from starting their services: the tests run databases of their own. (Debian's `policy-rc.d`, exit
/// status 101; one that is there already is left alone.)
struct NoServices<'a>(Option<&'a Path>);

impl<'a> NoServices<'a> {
    fn hold(policy: &'a Path) -> Self {
        let made = std::fs::File::options().write(true).create_new(true).mode(0o755).open(policy);
        let written =
            made.and_then(|mut file| std::io::Write::write_all(&mut file, b"#!/bin/sh\nexit 101\n"));
        Self(written.is_ok().then_some(policy))
    }
}

impl Drop for NoServices<'_> {
    fn drop(&mut self) {
        if let Some(policy) = self.0 {
            drop(std::fs::remove_file(policy));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_against_services_is_gone_afterwards_unless_it_was_there() {
        let folder = std::env::temp_dir().join(format!("portcullis-policy-{}", databases::secret().unwrap()));
        std::fs::create_dir(&folder).unwrap();
        let policy = folder.join("policy-rc.d");
        let held = NoServices::hold(&policy);
        let status = Command::new("sh").arg(&policy).status().unwrap();
        assert_eq!(status.code(), Some(101));
        drop(held);
        assert!(!policy.exists());
        std::fs::write(&policy, "theirs").unwrap();
        drop(NoServices::hold(&policy));
        assert_eq!(std::fs::read_to_string(&policy).unwrap(), "theirs");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    const ABSENT: Program =
        Program { name: "no-such-program-anywhere", package: "nothing", used_by: "a test of this module" };

    #[test]
    fn only_missing_programs_are_named() {
        let present = Program { name: "sh", package: "dash", used_by: "everything" };
        let programs = [present, ABSENT];
        let names: Vec<_> = missing(&programs).iter().map(|program| program.name).collect();
        assert_eq!(names, ["no-such-program-anywhere"]);
    }

    #[test]
    fn the_line_to_run_names_the_packages() {
        assert_eq!(install_line(&[&ABSENT]), "sudo apt-get install -y nothing");
    }
}
