//! `cargo xtask test`: sets up what the tests need and runs them all, on both pairs of homes.
//!
//! First everything: the test servers on SQLite with their state in the process, and the engine's own tests of each
//! database. Then the tests of the running server again, on PostgreSQL and Redis, from the same build. Leaves the
//! output of `cargo test` as it is; after it stand the four counts. The bundled plugins' own tests run between them.

mod homes;
mod tally;

use std::io::Write;
use std::process::Command;

use crate::failure::{Failure, Outcome};
use crate::{databases, plugins, process, programs, surroundings};
use databases::{Kept, Postgres, Redis, RedisCluster};
use tally::Tally;

/// Runs every test of the workspace; arguments go to the test programs.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    run_with(arguments, &[])
}

/// The same with further variables in the environment of the tests.
pub(crate) fn run_with(arguments: &[String], environment: &[(&str, &str)]) -> Outcome {
    programs::provide(programs::FOR_TESTS)?;
    let server = server()?;
    // Built before it is run, so that the build shows its progress and no database waits for it.
    process::announce_and_run(&mut process::cargo(&["test", "--workspace", "--no-run"]))?;
    let databases = Databases::start()?;
    let mut tally = Tally::default();
    let command = |further: &[&str], skipped: &[&str]| {
        let mut tests = process::cargo(&[&["test", "--workspace"], further].concat());
        tests.env("PORTCULLIS_BIN", &server).envs(environment.iter().copied());
        databases.name_to(&mut tests);
        pass_on(&mut tests, arguments, skipped);
        tests
    };
    let first = command(&[], databases.skipped());
    let mut outcome = relay(first, std::io::stdout(), |line| tally.line(line, homes::of_first_run));
    if arguments.is_empty() {
        let mut own = plugins::tests()?;
        own.envs(environment.iter().copied());
        outcome = outcome.and(relay(own, std::io::stdout(), |_| ()));
    }
    // Also when the first run failed: it is built, and what fails on one pair of homes says little of the other.
    if databases.are_complete() {
        let mut again = command(&["--test", "portcullis-tests"], homes::NOT_AGAIN);
        again.env(homes::VARIABLE, homes::POSTGRES_AND_REDIS);
        let second = relay(again, std::io::stdout(), |line| tally.line(line, homes::of_second_run));
        outcome = outcome.and(second);
    }
    print!("{}", tally.text());
    outcome
}

/// Builds the server and says where it is.
fn server() -> Result<std::path::PathBuf, Failure> {
    // Before the server, which takes the bundled ones in.
    plugins::build()?;
    // The same set of packages as in `cargo test --workspace`, so that nothing is built twice.
    process::announce_and_run(&mut process::cargo(&["build", "--workspace", "--bin", "portcullis"]))?;
    let server = surroundings::build_folder(false)?.join("portcullis");
    if !server.is_file() {
        return Err(Failure::Failed(format!("the build left no server at {}", server.display())));
    }
    Ok(server)
}

/// Builds the server and gives a `cargo` command whose tests find it in `PORTCULLIS_BIN`.
pub(crate) fn prepared(arguments: &[&str]) -> Result<Command, Failure> {
    let server = server()?;
    let mut tests = process::cargo(arguments);
    tests.env("PORTCULLIS_BIN", server);
    Ok(tests)
}

/// The databases of the run; one is absent where its programs could not be had.
struct Databases {
    postgres: Option<Postgres>,
    redis: Option<Redis>,
    redis_cluster: Option<RedisCluster>,
}

impl Databases {
    fn start() -> Result<Self, Failure> {
        let has_redis = databases::find_redis().is_some();
        // At the same time, since each of them mostly waits.
        std::thread::scope(|scope| {
            let postgres = scope.spawn(|| databases::find_postgres().map(|_| Postgres::start()).transpose());
            let redis_cluster = scope.spawn(|| has_redis.then(RedisCluster::start).transpose());
            let redis = has_redis.then(|| Redis::start(Kept::Nothing)).transpose()?;
            let ended = |_| Failure::Failed("the start of a database panicked".into());
            let postgres = postgres.join().map_err(ended)??;
            Ok(Self { postgres, redis, redis_cluster: redis_cluster.join().map_err(ended)?? })
        })
    }

    fn are_complete(&self) -> bool {
        self.postgres.is_some() && self.redis.is_some()
    }

    /// Tells the tests where they are, or that they are not, whatever the environment says.
    fn name_to(&self, tests: &mut Command) {
        let urls = [
            (databases::POSTGRES_VARIABLE, self.postgres.as_ref().map(Postgres::url)),
            (databases::REDIS_VARIABLE, self.redis.as_ref().map(Redis::url)),
            (databases::REDIS_CLUSTER_VARIABLE, self.redis_cluster.as_ref().map(RedisCluster::url)),
        ];
        for (name, url) in urls {
            match url {
                Some(url) => tests.env(name, url),
                None => tests.env_remove(name),
            };
        }
        tests.env_remove(homes::VARIABLE);
    }

    /// What can't run without the ones that are absent.
    fn skipped(&self) -> &'static [&'static str] {
        match (&self.postgres, &self.redis) {
            (Some(_), Some(_)) => &[],
            (Some(_), None) => &["on_redis", "cluster::"],
            (None, Some(_)) => &["on_postgres", "cluster::"],
            (None, None) => &["on_postgres", "on_redis", "cluster::"],
        }
    }
}

/// Runs a command to its end, passes its output on as it comes, and shows each line to `see`. Both outputs go through
/// one pipe, so that what cargo says of a test program stays in front of what that prints.
fn relay(mut command: Command, to: impl Write, mut see: impl FnMut(&str)) -> Outcome {
    let doing = "could not run `cargo`";
    process::announce(&command);
    let (output, input) = std::io::pipe().map_err(|error| Failure::because(doing, error))?;
    let errors = input.try_clone().map_err(|error| Failure::because(doing, error))?;
    let started = command.stdout(input).stderr(errors).spawn();
    // The command holds ends of the pipe as well.
    drop(command);
    let mut child = started.map_err(|error| Failure::because(doing, error))?;
    tally::tee(output, to, &mut see).map_err(|error| Failure::because(doing, error))?;
    let status = child.wait().map_err(|error| Failure::because(doing, error))?;
    process::outcome_of(status)
}

/// Hands arguments to the test programs, whether or not `--` stands before them, and what is to be skipped.
fn pass_on(tests: &mut Command, arguments: &[String], skipped: &[&str]) {
    let arguments = match arguments.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => arguments,
    };
    if !arguments.is_empty() || !skipped.is_empty() {
        tests.arg("--").args(arguments).args(skipped.iter().flat_map(|name| ["--skip", name]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed_on(arguments: &[&str], skipped: &[&str]) -> Vec<String> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let mut command = Command::new("cargo");
        pass_on(&mut command, &arguments, skipped);
        command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn arguments_go_to_the_tests_with_or_without_dashes() {
        assert_eq!(passed_on(&["name", "--nocapture"], &[]), ["--", "name", "--nocapture"]);
        assert_eq!(passed_on(&["--", "name"], &["a", "b"]), ["--", "name", "--skip", "a", "--skip", "b"]);
        assert_eq!(passed_on(&[], &["a"]), ["--", "--skip", "a"]);
        assert!(passed_on(&[], &[]).is_empty());
    }

    #[test]
    fn the_output_is_relayed_to_its_last_line_and_the_status_kept() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; printf three; exit 3"]);
        let (mut passed, mut seen) = (Vec::new(), Vec::new());
        let failure = relay(command, &mut passed, |line| seen.push(line.to_owned())).unwrap_err();
        assert_eq!(passed, b"one\ntwo\nthree");
        assert_eq!((failure.status(), seen), (3, ["one", "two", "three"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn without_a_database_its_tests_are_skipped() {
        let none = Databases { postgres: None, redis: None, redis_cluster: None };
        assert!(!none.are_complete());
        assert_eq!(none.skipped(), ["on_postgres", "on_redis", "cluster::"]);
        let mut command = Command::new("cargo");
        none.name_to(&mut command);
        let unset: Vec<_> = command.get_envs().filter(|(_, value)| value.is_none()).collect();
        assert_eq!(unset.len(), 4);
    }
}
