//! How far an import is: a bar on a terminal, else a line every few seconds.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use crate::cli::say;
use crate::clock::{Clock, SystemClock};

const LINE_EVERY: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(120);

/// Tells people at the terminal, or who read the log of a job.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    clock: Arc<SystemClock>,
    /// When the last line was, in milliseconds of the monotonic clock.
    last_line_ms: AtomicU64,
}

impl Progress {
    pub(super) fn new(clock: Arc<SystemClock>) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length();
            bar.enable_steady_tick(TICK);
            bar
        });
        let last_line_ms = AtomicU64::new(millis(clock.monotonic()));
        Self { bar, clock, last_line_ms }
    }

    /// So many rows are checked, and so many bytes of so many read.
    pub(super) fn checked(&self, rows: u64, (read, length): (u64, Option<u64>)) {
        let rows = HumanCount(rows);
        match &self.bar {
            Some(bar) => {
                if bar.length() != length {
                    length.map_or_else(|| bar.unset_length(), |length| bar.set_length(length));
                    bar.set_style(style(length.is_some(), "{binary_bytes_per_sec}"));
                }
                bar.set_position(read);
                bar.set_message(format!("checking: {rows} entities"));
            }
            None => self.line(|| match length {
                Some(length) => {
                    format!("checking: {rows} entities, {} of {}", HumanBytes(read), HumanBytes(length))
                }
                None => format!("checking: {rows} entities, {}", HumanBytes(read)),
            }),
        }
    }

    /// So many rows of so many wait in the store.
    pub(super) fn staged(&self, staged: u64, count: u64) {
        match &self.bar {
            Some(bar) => {
                if bar.message() != "staging" {
                    bar.reset_eta();
                    bar.set_length(count);
                    bar.set_style(style(true, "{per_sec}"));
                    bar.set_message("staging");
                }
                bar.set_position(staged);
            }
            None => self.line(|| format!("staging: {} of {}", HumanCount(staged), HumanCount(count))),
        }
    }

    /// Nothing more can be said until it is done.
    pub(super) fn finishing(&self) {
        if let Some(bar) = &self.bar {
            bar.set_style(ProgressStyle::default_spinner());
            bar.set_message("making them visible");
        }
    }

    /// Says a line.
    pub(super) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => say(text),
        }
    }

    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, text: impl FnOnce() -> String) {
        let now = millis(self.clock.monotonic());
        if now.saturating_sub(self.last_line_ms.load(Ordering::Relaxed)) >= millis(LINE_EVERY) {
            self.last_line_ms.store(now, Ordering::Relaxed);
            say(&text());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn style(has_length: bool, rate: &str) -> ProgressStyle {
    let template = if has_length {
        format!("{{bar:30}} {{percent:>3}} % {{msg}}, {rate}, {{eta}} left")
    } else {
        format!("{{spinner}} {{msg}}, {rate}")
    };
    // A template that is none is a defect; the plain bar tells enough.
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
