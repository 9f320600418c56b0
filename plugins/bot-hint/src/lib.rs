//! Says how much a request looks like a program's, and why.
//!
//! Promises: each part of the risk has its reason, and no part alone is certainty: whoever is a program on purpose says
//! so. Must never: take what a client says of itself for a proof that it is none.

use portcullis_sdk::prelude::*;

mod agent;
mod headers;

use agent::Agent;

/// The plugin's configuration.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    allowed_agents: Vec<String>,
    denials: u64,
    decisions: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { allowed_agents: Vec::new(), denials: 20, decisions: 300 }
    }
}

/// The plugin.
struct BotHint {
    settings: Settings,
    /// In lower case.
    allowed: Vec<String>,
}

impl Detect for BotHint {
    type Config = Settings;

    fn new(settings: Settings) -> Result<Self, Failure> {
        let allowed = settings.allowed_agents.iter().map(|text| text.to_ascii_lowercase()).collect();
        Ok(Self { settings, allowed })
    }

    fn detect(&self, observation: &Observation) -> Result<Assessment, Failure> {
        let mut assessment = Assessment::none();
        if let Some(request) = observation.request() {
            self.judge_request(request, &mut assessment);
        }
        self.judge_counters(observation, &mut assessment);
        Ok(assessment)
    }
}

impl BotHint {
    fn judge_request(&self, request: &Request, assessment: &mut Assessment) {
        let text = request.header("user-agent").unwrap_or_default();
        let agent = Agent::read(text, &self.allowed);
        let at = || Location::header("user-agent");
        match &agent {
            Agent::Allowed => {}
            Agent::Missing => assessment.add(30, "no-user-agent"),
            Agent::Automation(mark) => {
                assessment.add(60, "automation");
                assessment.note(Finding::new(
                    "automation",
                    80,
                    at(),
                    format!("it carries the mark `{mark}`"),
                ));
            }
            Agent::Tool(name) => {
                assessment.add(40, "http-tool");
                assessment.note(Finding::new("http-tool", 50, at(), format!("it calls itself `{name}`")));
            }
            Agent::Declared(name) => {
                assessment.add(25, "declared-bot");
                assessment.note(Finding::new("declared-bot", 30, at(), format!("it calls itself `{name}`")));
            }
            Agent::Browser(browser) => {
                for oddity in headers::oddities(request, browser) {
                    assessment.add(oddity.points, oddity.reason);
                    let finding =
                        Finding::new(oddity.reason, oddity.points, oddity.location(), oddity.detail);
                    assessment.note(finding);
                }
            }
            Agent::Unknown => assessment.add(15, "unknown-agent"),
        }
        if agent != Agent::Allowed
            && let Some(mark) = headers::automation_header(request)
        {
            assessment.add(50, "automation-header");
            let found = "only programs that drive a browser send it";
            assessment.note(Finding::new("automation-header", 80, Location::header(mark), found));
        }
    }

    fn judge_counters(&self, observation: &Observation, assessment: &mut Assessment) {
        let limits = [
            ("principal.denials", self.settings.denials, 40, "many-denials"),
            ("address.decisions", self.settings.decisions, 30, "many-requests"),
        ];
        for (name, limit, points, reason) in limits {
            if observation.counter(name).is_some_and(|reading| reading.value >= limit) {
                assessment.add(points, reason);
            }
        }
    }
}

portcullis_sdk::export_detect!(BotHint);

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin() -> BotHint {
        let settings = Settings { allowed_agents: vec!["MyMonitor/".into()], ..Settings::default() };
        BotHint::new(settings).unwrap()
    }

    fn counted(name: &str, value: u64) -> Observation<'static> {
        Observation {
            subject: Subject::Event(Event { kind: "decision".into(), at: 0, attributes: Vec::new() }),
            counters: vec![Reading { name: name.into(), value, window_seconds: 300 }],
        }
    }

    #[test]
    fn counts_are_a_risk_from_their_limit_on() {
        let plugin = plugin();
        for (name, limit, reason) in
            [("principal.denials", 20, "many-denials"), ("address.decisions", 300, "many-requests")]
        {
            assert_eq!(plugin.detect(&counted(name, limit - 1)).unwrap(), Assessment::none());
            let assessment = plugin.detect(&counted(name, limit)).unwrap();
            assert_eq!(assessment.risk[0].reason, reason);
        }
    }
}
