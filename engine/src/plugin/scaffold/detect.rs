//! Raises the risk of callers that say nothing of themselves, or are denied often.

use portcullis_sdk::prelude::*;

/// The configuration, as `config_schema` in `plugin.toml` describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default = "ten")]
    denials: u64,
}

fn ten() -> u64 {
    10
}

struct Plugin {
    denials: u64,
}

impl Detect for Plugin {
    type Config = Settings;

    /// Runs once, before the plugin serves: what is slow belongs here.
    fn new(settings: Settings) -> Result<Self, Failure> {
        Ok(Self {
            denials: settings.denials,
        })
    }

    /// Runs for every request, each time as if nothing had been called since `new`.
    fn detect(&self, observation: &Observation) -> Result<Assessment, Failure> {
        let mut assessment = Assessment::none();
        if observation
            .request()
            .is_some_and(|request| request.header("user-agent").is_none())
        {
            assessment.add(30, "no-user-agent");
        }
        let denials = observation
            .counter("principal.denials")
            .map_or(0, |reading| reading.value);
        if denials >= self.denials {
            assessment.add(40, "many-denials");
        }
        Ok(assessment)
    }
}

portcullis_sdk::export_detect!(Plugin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_the_risk_has_its_reason() {
        let counters = vec![Reading {
            name: "principal.denials".into(),
            value: 10,
            window_seconds: 300,
        }];
        let observation = Observation {
            subject: Subject::Request(Request::builder().build()),
            counters,
        };
        let assessment = Plugin { denials: ten() }.detect(&observation).unwrap();
        let reasons: Vec<_> = assessment
            .risk
            .iter()
            .map(|part| part.reason.as_str())
            .collect();
        assert_eq!(
            (assessment.points(), reasons),
            (70, vec!["no-user-agent", "many-denials"])
        );
    }
}
