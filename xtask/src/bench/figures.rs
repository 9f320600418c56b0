//! Numbers made of measurements: medians, percentiles, and the lines that scripts read.

use std::process::{Command, Stdio};

use super::load::Load;
use crate::failure::Failure;
use crate::process;

/// One figure as a program of ours measured it, once a round.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) values: Vec<f64>,
}

impl Measured {
    /// The median over the rounds.
    pub(super) fn median(&self) -> f64 {
        median(self.values.clone())
    }

    /// Prints it for scripts.
    pub(super) fn print(&self) {
        figure(&self.name, self.median(), &self.unit);
    }
}

/// What a program measured: each figure's values, in the order in which the figures came first.
pub(super) fn measured(program: &mut Command) -> Result<Vec<Measured>, Failure> {
    let output = program.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| Failure::because("could not start what measures", error))?;
    process::outcome_of(output.status)?;
    figures_of(&String::from_utf8_lossy(&output.stdout))
}

/// Reads `NAME.figure = number unit`, a line each.
pub(super) fn figures_of(text: &str) -> Result<Vec<Measured>, Failure> {
    let mut figures: Vec<Measured> = Vec::new();
    for line in text.lines() {
        let read = || {
            let (name, rest) = line.split_once(" = ")?;
            let (value, unit) = rest.split_once(' ')?;
            Some((name, value.parse::<f64>().ok().filter(|value| value.is_finite())?, unit))
        };
        let Some((name, value, unit)) = read() else {
            return Err(Failure::Failed(format!("`{line}` is no figure")));
        };
        match figures.iter_mut().find(|known| known.name == name) {
            Some(known) => known.values.push(value),
            None => figures.push(Measured { name: name.into(), unit: unit.into(), values: vec![value] }),
        }
    }
    if figures.is_empty() {
        return Err(Failure::Failed("nothing was measured".into()));
    }
    Ok(figures)
}

/// One round's figures.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Round {
    pub(super) requests_per_second: f64,
    pub(super) cpu_us: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

impl Round {
    /// The figures of a load.
    pub(super) fn of(load: &Load) -> Self {
        let count = load.latencies_ns.len() as f64;
        Self {
            requests_per_second: count / load.measured.as_secs_f64(),
            cpu_us: load.cpu.as_secs_f64() * 1e6 / count,
            p50_us: percentile_us(&load.latencies_ns, 50),
            p99_us: percentile_us(&load.latencies_ns, 99),
        }
    }

    /// How much of its core the server used.
    pub(super) fn busy_percent(self) -> f64 {
        self.requests_per_second * self.cpu_us / 1e4
    }

    /// The median of each figure over the rounds.
    pub(super) fn median(rounds: &[Self]) -> Self {
        let over = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        Self {
            requests_per_second: over(|round| round.requests_per_second),
            cpu_us: over(|round| round.cpu_us),
            p50_us: over(|round| round.p50_us),
            p99_us: over(|round| round.p99_us),
        }
    }
}

/// The middle value; of an even count, the mean of the two middle ones; of none, zero.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle).copied().unwrap_or_default();
    if values.len() % 2 == 1 {
        return upper;
    }
    let lower = values.get(middle.wrapping_sub(1)).copied().unwrap_or_default();
    f64::midpoint(lower, upper)
}

/// The nearest-rank percentile of ascending nanoseconds, in microseconds.
fn percentile_us(ascending_ns: &[u32], percent: usize) -> f64 {
    let rank = (ascending_ns.len() * percent).div_ceil(100).max(1);
    f64::from(ascending_ns.get(rank - 1).copied().unwrap_or_default()) / 1e3
}

/// Prints one figure on its line.
pub(super) fn figure(name: &str, value: f64, unit: &str) {
    println!("{}", line(name, value, unit));
}

fn line(name: &str, value: f64, unit: &str) -> String {
    // Enough digits to compare by; whole numbers stay whole.
    let decimals = match value.abs() {
        _ if value.fract() == 0.0 => 0,
        size if size >= 1000.0 => 0,
        size if size >= 10.0 => 1,
        _ => 3,
    };
    format!("{name} = {value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_gathered_by_their_names() {
        let text = "a.p50 = 10.5 us\na.p99 = 40 us\na.p50 = 11.5 us\n";
        let figure = |name: &str, values: &[f64]| Measured {
            name: name.into(),
            unit: "us".into(),
            values: values.to_vec(),
        };
        assert_eq!(figures_of(text).unwrap(), [figure("a.p50", &[10.5, 11.5]), figure("a.p99", &[40.0])]);
        for wrong in ["", "a = b us", "a = 1", "a = NaN us", "failed"] {
            assert!(figures_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_median_is_the_middle_of_the_sorted() {
        assert_eq!(median(vec![9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), 3.0);
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn percentiles_go_by_the_nearest_rank() {
        let ascending: Vec<u32> = (1..=100).map(|number| number * 1000).collect();
        assert_eq!(percentile_us(&ascending, 50), 50.0);
        assert_eq!(percentile_us(&ascending, 99), 99.0);
        assert_eq!(percentile_us(&[7000], 99), 7.0);
    }

    #[test]
    fn a_figure_is_a_name_a_number_and_a_unit() {
        assert_eq!(line("decision.requests_64", 51_234.4, "1/s"), "decision.requests_64 = 51234 1/s");
        assert_eq!(line("decision.ratio_to_bare", 0.4704, "ratio"), "decision.ratio_to_bare = 0.470 ratio");
        assert_eq!(line("decision.gaps", 0.0, "records"), "decision.gaps = 0 records");
    }
}
