//! Cerbos beside ours: its server, the pack `documents` in its terms, and the questions with what it needs to know.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Contender;
use crate::bench::child::{self, Server};
use crate::bench::questions;
use crate::failure::Failure;
use crate::{process, surroundings};

const PACKAGE: &str = "@cerbos/cerbos-linux-x64@0.55.0";
const PROGRAM: &str = "node_modules/@cerbos/cerbos-linux-x64/cerbos-linux-x64";
const PATH: &str = "/access/v1/evaluation";
const QUESTIONS: &str = include_str!("cerbos-questions.txt");
const POLICY: &str = include_str!("cerbos-document.yaml");

/// The server, if it can be installed; else says why not.
pub(super) fn start(data: &Path) -> Result<Option<Contender>, Failure> {
    let program = match install() {
        Ok(program) => program,
        Err(failure) => {
            let why = failure.message().unwrap_or_default();
            eprintln!("skipped: Cerbos, which `npm install {PACKAGE}` would bring: {why}");
            return Ok(None);
        }
    };
    let folder = data.join("cerbos");
    let failed = |error| Failure::because(folder.display(), error);
    std::fs::create_dir_all(folder.join("policies")).map_err(failed)?;
    std::fs::write(folder.join("policies/document.yaml"), POLICY).map_err(failed)?;
    let [address, other] = free_addresses()?;
    let policies = folder.join("policies");
    let config = format!(
        "server:\n  httpListenAddr: \"{address}\"\n  grpcListenAddr: \"{other}\"\nstorage:\n  driver: disk\n  disk: {{ directory: {}, watchForChanges: false }}\ntelemetry: {{ disabled: true }}\n",
        policies.display()
    );
    std::fs::write(folder.join("config.yaml"), config).map_err(failed)?;
    let mut command = child::pinned(&program);
    command.arg("server").arg(format!("--config={}", folder.join("config.yaml").display()));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let server = Server::start_at(&mut command, address, "/.well-known/authzen-configuration")?;
    let questions = questions::of(QUESTIONS, (PATH, address), "")?;
    Ok(Some(Contender::new("cerbos", server, questions)))
}

fn install() -> Result<PathBuf, Failure> {
    let folder = surroundings::own_folder()?.join("cerbos");
    let program = folder.join(PROGRAM);
    if !program.is_file() {
        let npm =
            surroundings::find_program("npm").ok_or_else(|| Failure::Failed("`npm` is not there".into()))?;
        let mut command = Command::new(npm);
        command
            .args(["install", "--silent", "--no-audit", "--no-fund", "--no-save", "--prefix"])
            .arg(&folder);
        process::run(command.arg(PACKAGE).stdout(Stdio::null()))?;
    }
    if program.is_file() { Ok(program) } else { Err(Failure::Failed("the package holds no program".into())) }
}

fn free_addresses() -> Result<[SocketAddr; 2], Failure> {
    let failed = |error| Failure::because("no free port", error);
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    // Both are held until both are known.
    let (one, other) = (listen().map_err(failed)?, listen().map_err(failed)?);
    Ok([one.local_addr().map_err(failed)?, other.local_addr().map_err(failed)?])
}
