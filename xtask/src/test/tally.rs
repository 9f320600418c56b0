//! Counts, from the output of `cargo test` as it passes, the tests that passed on each home.
//!
//! Promises: the output goes on unchanged and at once. What the output does not name (`--quiet`) is not guessed: the
//! difference is said.

use std::io::{BufRead, BufReader, Read, Write};

use super::homes::Home;

/// What has been seen so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    program: String,
    /// A test that runs alone, whose own output may stand before its verdict.
    begun: Option<String>,
    passed: Vec<Home>,
    named: u64,
    told: u64,
}

impl Tally {
    /// Takes in a line; `homes_of` gives the homes of a test by its program and its name.
    pub(super) fn line(&mut self, line: &str, homes_of: fn(&str, &str) -> Vec<Home>) {
        if let Some(program) = program_of(line) {
            self.program = program.to_owned();
            self.begun = None;
        } else if let Some(count) = told(line) {
            self.told += count;
            self.begun = None;
        } else if let Some((name, verdict)) =
            line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "))
        {
            self.begun = Some(name.trim_end_matches(" - should panic").to_owned());
            self.verdict(verdict, homes_of);
        } else if line == "ok" {
            self.verdict(line, homes_of);
        }
    }

    fn verdict(&mut self, verdict: &str, homes_of: fn(&str, &str) -> Vec<Home>) {
        if verdict == "ok" || verdict.ends_with(" ok") {
            if let Some(name) = self.begun.take() {
                self.named += 1;
                self.passed.extend(homes_of(&self.program, &name));
            }
        } else if verdict == "FAILED" || verdict.starts_with("ignored") {
            self.begun = None;
        }
    }

    fn of(&self, home: Home) -> usize {
        self.passed.iter().filter(|passed| **passed == home).count()
    }

    /// The closing lines.
    pub(super) fn text(&self) -> String {
        let lines = [
            ("SQLite", Home::Sqlite),
            ("PostgreSQL", Home::Postgres),
            ("embedded state", Home::Embedded),
            ("Redis", Home::Redis),
        ];
        let mut text = String::new();
        if self.named != self.told {
            let missing = self.told.abs_diff(self.named);
            text.push_str(&format!("not counted, since the output did not name them: {missing}\n"));
        }
        for (name, home) in lines {
            text.push_str(&format!("{name}: {} passed\n", self.of(home)));
        }
        text
    }
}

/// The test program that cargo says it runs, without the hash behind its name.
fn program_of(line: &str) -> Option<&str> {
    let line = line.trim();
    if let Some((_, name)) = line.split_once("Doc-tests ") {
        return Some(name);
    }
    let (_, file) = line.strip_suffix(')')?.rsplit_once("/deps/")?;
    Some(file.rsplit_once('-').map_or(file, |(name, _)| name))
}

/// How many passed, by a program's own closing line.
fn told(line: &str) -> Option<u64> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    counts.split_once(" passed")?.0.parse().ok()
}

/// Passes on what comes, chunk by chunk, and shows each whole line to `see`.
pub(super) fn tee(from: impl Read, mut to: impl Write, see: &mut impl FnMut(&str)) -> std::io::Result<()> {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        let chunk = from.fill_buf()?;
        if chunk.is_empty() {
            break;
        }
        to.write_all(chunk)?;
        to.flush()?;
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                see(String::from_utf8_lossy(&line).trim_end());
                line.clear();
            }
        }
        let length = chunk.len();
        from.consume(length);
    }
    if !line.is_empty() {
        see(&String::from_utf8_lossy(&line));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::homes;
    use super::*;

    fn counted(text: &str, homes_of: fn(&str, &str) -> Vec<Home>) -> Tally {
        let mut tally = Tally::default();
        text.lines().for_each(|line| tally.line(line, homes_of));
        tally
    }

    const FIRST: &str = "\
     Running unittests src/lib.rs (target/debug/deps/portcullis-0123456789abcdef)

running 5 tests
test store::tests::on_sqlite::rows_are_kept ... ok
test store::tests::on_postgres::rows_are_kept ... ok
test state::tests::claims_are_won_once_on_redis ... ok
test state::tests::on_embedded::it_expires - should panic ... ok
test clock::tests::it_ticks ... ok
test store::tests::on_postgres::broken ... FAILED
test store::tests::on_postgres::slow ... ignored, takes hours

test result: FAILED. 5 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.93s

     Running main.rs (/a/target/debug/deps/portcullis_tests-0123456789abcdef)
test callers::each_right_opens_its_own_door_only ... ok
test cluster::two_nodes_agree ... ok
test disk_full::the_journal_is_full_on_sqlite ... ok
test tidy::imports::modules_import_only_what_they_may ... ok
test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.93s
   Doc-tests portcullis
test engine/src/lib.rs - clock (line 5) ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.93s
";

    #[test]
    fn a_test_counts_for_the_homes_of_its_name_else_of_its_run() {
        let tally = counted(FIRST, homes::of_first_run);
        assert_eq!(
            tally.text(),
            "SQLite: 3 passed\nPostgreSQL: 2 passed\nembedded state: 2 passed\nRedis: 2 passed\n"
        );
    }

    #[test]
    fn the_second_run_counts_for_the_other_pair() {
        let tally = counted("test a::b ... ok\ntest result: ok. 1 passed; 0 failed", homes::of_second_run);
        assert_eq!(
            tally.text(),
            "SQLite: 0 passed\nPostgreSQL: 1 passed\nembedded state: 0 passed\nRedis: 1 passed\n"
        );
    }

    #[test]
    fn a_verdict_behind_a_tests_own_output_is_found() {
        let text =
            "test a::b ... line of its own\nmore\nok\ntest a::c ... printed ok\ntest a::d ... FAILED\nok\n";
        let tally = counted(text, homes::of_second_run);
        assert_eq!(tally.of(Home::Redis), 2);
    }

    #[test]
    fn what_is_not_named_is_said() {
        let tally = counted("....\ntest result: ok. 4 passed; 0 failed", homes::of_second_run);
        assert!(tally.text().starts_with("not counted, since the output did not name them: 4\n"));
    }

    #[test]
    fn output_is_passed_on_unchanged_and_seen_by_line() {
        let (mut passed, mut seen) = (Vec::new(), Vec::new());
        let text: &[u8] = b"a\xff\nb\r\n\nlast";
        tee(text, &mut passed, &mut |line: &str| seen.push(line.to_owned())).unwrap();
        assert_eq!(passed, text);
        assert_eq!(seen, ["a\u{fffd}", "b", "", "last"]);
    }
}
