//! `cargo xtask bench NAME`: measurements, each ending with one line a figure.
//!
//! A figure is `NAME.figure = number unit`, so that scripts can compare. Servers and load
//! stay on loopback, are bounded in time, and are pinned to a core each.

mod child;
mod decision;
mod entities;
mod figures;
mod load;
mod plugin;
mod policy;
mod questions;
mod reload;

use std::time::Duration;

use crate::failure::{Failure, Outcome};

struct Bench {
    name: &'static str,
    about: &'static str,
    run: fn(&Settings) -> Outcome,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "decision",
        about: "the server against a bare handler, at 1, 16 and 64 connections",
        run: decision::run,
    },
    Bench {
        name: "entities",
        about: "a million entities: import, memory, decisions with roles of the store",
        run: entities::run,
    },
    Bench {
        name: "policy",
        about: "decisions beside Cedar's authorizer, with 10 to 100,000 policies, and on three worlds",
        run: policy::run,
    },
    Bench { name: "reload", about: "how soon an edit of one policy among 10,000 decides", run: reload::run },
    Bench {
        name: "plugin",
        about: "a call of a plugin in a fresh instance, alone and with 64 loaded; what one adds to a decision",
        run: plugin::run,
    },
    Bench {
        name: "bare",
        about: "the bare handler alone: what this machine can do",
        run: decision::run_bare,
    },
];

/// How long and how often to measure.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Settings {
    measured: Duration,
    rounds: usize,
}

/// Runs the bench that the arguments name.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let Some((name, rest)) = arguments.split_first() else {
        return Err(Failure::Usage(format!("`bench` needs a name:{}", list())));
    };
    let Some(bench) = BENCHES.iter().find(|bench| bench.name == name) else {
        return Err(Failure::Usage(format!("no bench `{name}`:{}", list())));
    };
    (bench.run)(&parse(rest)?)
}

fn list() -> String {
    BENCHES.iter().map(|bench| format!("\n  {:<10} {}", bench.name, bench.about)).collect()
}

fn parse(arguments: &[String]) -> Result<Settings, Failure> {
    let mut settings = Settings { measured: Duration::from_secs(2), rounds: 7 };
    let mut arguments = arguments.iter();
    while let Some(option) = arguments.next() {
        let value = arguments.next().map(String::as_str).unwrap_or_default();
        match option.as_str() {
            "--seconds" => {
                let seconds = value.parse().ok().filter(|seconds| (0.1..=600.0).contains(seconds));
                let seconds = seconds.ok_or_else(|| Failure::Usage("`--seconds` takes 0.1 to 600".into()))?;
                settings.measured = Duration::from_secs_f64(seconds);
            }
            "--rounds" => {
                let rounds = value.parse().ok().filter(|rounds| (1..=1000).contains(rounds));
                settings.rounds =
                    rounds.ok_or_else(|| Failure::Usage("`--rounds` takes 1 to 1000".into()))?;
            }
            _ => return Err(Failure::Usage(format!("unknown argument `{option}`"))),
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Settings, Failure> {
        parse(&arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn settings_have_defaults_and_bounds() {
        assert_eq!(parsed(&[]).unwrap(), Settings { measured: Duration::from_secs(2), rounds: 7 });
        let settings = Settings { measured: Duration::from_millis(500), rounds: 3 };
        assert_eq!(parsed(&["--seconds", "0.5", "--rounds", "3"]).unwrap(), settings);
        for wrong in
            [&["--seconds", "0"][..], &["--seconds", "NaN"], &["--rounds", "0"], &["--rounds"], &["-x"]]
        {
            assert_eq!(parsed(wrong).unwrap_err().status(), 2, "{wrong:?}");
        }
    }
}
