//! The decision log against whoever edits it: `portcullis audit verify` and `checkpoint`.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_tests::files::{copy, write};
use portcullis_tests::{Cli, Ran, Server};
use tempfile::TempDir;

use crate::fixtures::{question, records};

pub(crate) fn verify(data: &Path) -> Ran {
    Cli::new(["audit", "verify"]).path("--data", data).run()
}

fn checkpoint(data: &Path) -> String {
    Cli::new(["audit", "checkpoint"]).path("--data", data).run().expect_status(0).stdout
}

fn decide(server: &Server, count: usize) {
    for _ in 0..count {
        let _ = server.post("/v1/decide", &question("alice", "read", "record-1")).expect_status(200);
    }
}

/// The data folder of a server that made some decisions and ended.
fn log_of(decisions: usize) -> TempDir {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::builder().pack(records()).data(data.path()).start();
    decide(&server, decisions);
    assert_eq!(server.stop(), 0, "{}", server.stderr());
    data
}

/// The segment files, oldest first.
pub(crate) fn segments(data: &Path) -> Vec<PathBuf> {
    let is_segment = |path: &PathBuf| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        path.extension().is_some_and(|kind| kind == "jsonl") && stem.bytes().all(|byte| byte.is_ascii_digit())
    };
    let found: Vec<PathBuf> =
        portcullis_tests::files::files(&data.join("log")).into_iter().filter(is_segment).collect();
    assert!(!found.is_empty(), "no segments in {}", data.display());
    found
}

fn lines(segment: &Path) -> Vec<String> {
    fs::read_to_string(segment).unwrap().lines().map(str::to_owned).collect()
}

fn write_lines(segment: &Path, lines: &[String]) {
    write(segment, lines.join("\n") + "\n");
}

/// Tampers with a copy of a sound log, which must show and be located.
#[track_caller]
fn shows(tamper: impl FnOnce(&mut Vec<String>)) {
    let data = log_of(12);
    let _ = verify(data.path()).expect_status(0);
    let segment = segments(data.path()).pop().unwrap();
    let mut edited = lines(&segment);
    assert!(edited.len() >= 12, "{} records", edited.len());
    tamper(&mut edited);
    write_lines(&segment, &edited);
    let ran = verify(data.path()).expect_status(1);
    let name = segment.file_name().unwrap().to_string_lossy().into_owned();
    assert!(ran.output().contains(&name), "it does not say where: {}", ran.output());
}

#[test]
fn a_sound_log_is_whole() {
    let data = log_of(5);
    let _ = verify(data.path()).expect_status(0);
}

#[test]
fn an_edited_record_shows() {
    shows(|lines| {
        // Events of the server's own may stand between the decisions, so one of these is looked for.
        let decision = lines.iter_mut().filter(|line| line.contains("alice")).nth(5).unwrap();
        *decision = decision.replacen("alice", "malic", 1);
    });
    shows(|lines| {
        // One bit of insignificant text is an edit too.
        lines[6] = lines[6].replacen(':', ": ", 1);
    });
}

#[test]
fn an_edited_mac_shows() {
    shows(|lines| {
        let last = lines[5].rfind(|letter: char| letter.is_ascii_hexdigit()).unwrap();
        let other = if lines[5].as_bytes()[last] == b'0' { "1" } else { "0" };
        lines[5].replace_range(last..=last, other);
    });
}

#[test]
fn a_removed_record_shows() {
    shows(|lines| {
        lines.remove(5);
    });
    shows(|lines| {
        lines.remove(0);
    });
}

#[test]
fn reordered_records_show() {
    shows(|lines| lines.swap(5, 6));
}

#[test]
fn a_repeated_record_shows() {
    shows(|lines| {
        let copy = lines[5].clone();
        lines.insert(6, copy);
    });
    shows(|lines| {
        let last = lines.last().unwrap().clone();
        lines.push(last);
    });
}

#[test]
fn a_forged_record_shows() {
    shows(|lines| {
        let decision = lines.iter().rfind(|line| line.contains("alice")).unwrap();
        let forged = decision.replacen("alice", "mallory", 1);
        lines.push(forged);
    });
}

#[test]
fn a_record_of_another_log_shows() {
    let other = log_of(3);
    let foreign = lines(&segments(other.path())[0]).pop().unwrap();
    shows(|lines| lines.push(foreign));
}

#[test]
fn a_removed_segment_shows() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::builder().pack(records()).data(data.path()).start();
    for _ in 0..2 {
        decide(&server, 3);
        server.restart();
    }
    server.stop();
    let _ = verify(data.path()).expect_status(0);
    let first = segments(data.path()).remove(0);
    fs::remove_file(first).unwrap();
    let _ = verify(data.path()).expect_status(1);
}

#[test]
fn an_end_cut_before_a_checkpoint_that_was_kept_shows() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::builder().pack(records()).data(data.path()).start();
    decide(&server, 6);
    let kept = tempfile::tempdir().unwrap();
    let file = kept.path().join("checkpoint");
    write(&file, checkpoint(data.path()));
    server.stop();
    let verify_kept =
        |data: &Path| Cli::new(["audit", "verify"]).path("--data", data).path("--checkpoint", &file).run();
    let _ = verify_kept(data.path()).expect_status(0);
    // Whoever can cut the log can cut its own checkpoints too; not the one that is elsewhere.
    let segment = segments(data.path()).pop().unwrap();
    write_lines(&segment, &lines(&segment)[..3]);
    for entry in portcullis_tests::files::files(&data.path().join("log")) {
        if entry.file_name().is_some_and(|name| name == "checkpoints.jsonl") {
            fs::remove_file(entry).unwrap();
        }
    }
    let ran = verify_kept(data.path());
    assert_eq!(ran.status, 1, "{}", ran.output());
}

#[test]
fn an_end_cut_before_the_folders_own_checkpoint_shows() {
    shows(|lines| lines.truncate(3));
}

#[test]
fn a_log_of_another_server_does_not_pass_for_the_kept_checkpoint() {
    let (one, other) = (log_of(8), log_of(8));
    let kept = tempfile::tempdir().unwrap();
    let file = kept.path().join("checkpoint");
    write(&file, checkpoint(one.path()));
    let ran = Cli::new(["audit", "verify"]).path("--data", other.path()).path("--checkpoint", &file).run();
    assert_eq!(ran.status, 1, "{}", ran.output());
}

#[test]
fn an_edited_checkpoint_is_refused() {
    let data = log_of(4);
    let kept = tempfile::tempdir().unwrap();
    let file = kept.path().join("checkpoint");
    let text = checkpoint(data.path());
    let digit = text.rfind(|letter: char| letter.is_ascii_hexdigit()).unwrap();
    let mut edited = text.clone();
    edited.replace_range(digit..=digit, if text.as_bytes()[digit] == b'0' { "1" } else { "0" });
    write(&file, edited);
    let ran = Cli::new(["audit", "verify"]).path("--data", data.path()).path("--checkpoint", &file).run();
    assert_ne!(ran.status, 0, "{}", ran.output());
}

#[test]
fn an_unfinished_last_record_is_a_warning() {
    let data = tempfile::tempdir().unwrap();
    let mut server = Server::builder().pack(records()).data(data.path()).start();
    decide(&server, 6);
    server.kill();
    let segment = segments(data.path()).pop().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let half = lines(&segment).pop().unwrap();
    bytes.extend_from_slice(&half.as_bytes()[..half.len() / 2]);
    write(&segment, bytes);
    let ran = verify(data.path()).expect_status(0);
    assert!(ran.output().to_lowercase().contains("unfinished"), "{}", ran.output());
    // The server goes on behind it, and the log stays whole.
    server.restart();
    decide(&server, 3);
    server.stop();
    let _ = verify(data.path()).expect_status(0);
}

#[test]
fn a_running_servers_log_is_verified_beside_it() {
    let server = Server::with(records());
    for _ in 0..5 {
        decide(&server, 20);
        let _ = verify(server.data()).expect_status(0);
    }
}

#[test]
fn a_copy_of_the_data_folder_is_all_that_verify_needs() {
    let data = log_of(4);
    let elsewhere = tempfile::tempdir().unwrap();
    let copied = elsewhere.path().join("copy");
    copy(data.path(), &copied);
    drop(data);
    let _ = verify(&copied).expect_status(0);
}

#[test]
fn a_folder_without_a_log_is_not_called_whole() {
    let empty = tempfile::tempdir().unwrap();
    let ran = verify(empty.path());
    assert_ne!(ran.status, 0, "{}", ran.output());
    let ran = verify(&empty.path().join("absent"));
    assert_ne!(ran.status, 0, "{}", ran.output());
}
