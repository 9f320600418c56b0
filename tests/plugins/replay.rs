//! Calls of all bundled plugins, as a server made and recorded them, made again by the command that operators have.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_tests::{Cli, Client, Pack, Ran, Server, XorShift, soak};
use serde_json::{Value, json};

mod traffic;

/// The plugins are those in the binary. They have time enough on a machine that is kept busy.
const CONFIG: &str = r#"
[keys.partner]
algorithm = "ed25519"
[keys.webhooks]
algorithm = "hmac-sha256"
[keys.pii]
algorithm = "hmac-sha256"

[plugins.injection-guard]
capabilities = ["config"]
record = true
budget = { deadline_milliseconds = 5000 }

[plugins.bot-hint]
capabilities = ["config"]
config = { denials = 5, decisions = 40 }
record = true
budget = { deadline_milliseconds = 5000 }

[plugins.pii-mask]
capabilities = ["config", "crypto"]
keys = ["pii"]
config = { hash_key = "pii" }
record = true
budget = { deadline_milliseconds = 5000 }

[plugins.request-signer]
capabilities = ["config", "clock", "random", "crypto"]
keys = ["partner", "webhooks"]
record = true
budget = { deadline_milliseconds = 5000 }
"#;

const POLICIES: &str = r#"
@id("open")
permit(principal, action == Action::"open", resource);

@id("to-partner")
@obligation("sign:partner")
permit(principal, action == Action::"to-partner", resource);

@id("to-webhook")
@obligation("sign:webhooks")
permit(principal, action == Action::"to-webhook", resource);

"#;

/// How many actions there are that mask, each in its own way.
const MASKING: usize = 24;

/// A server whose calls of plugins are counted as they are made.
struct Recording {
    server: Server,
    client: Client,
    rng: XorShift,
    /// How many calls each plugin must have had.
    calls: BTreeMap<&'static str, usize>,
    /// The decisions that plugins looked at.
    decisions: BTreeSet<String>,
    /// Decisions that oblige, by their actions, while they are fresh.
    obliging: BTreeMap<String, String>,
}

impl Recording {
    fn start(seed: u64) -> Self {
        let mut rng = XorShift::new(seed);
        let policies = format!("{POLICIES}{}", traffic::masking(&mut rng, MASKING));
        let server = Server::builder().pack(Pack::new("app").cedar(&policies)).config(CONFIG).start();
        let client = Client::keeping_alive(server.base(), server.key());
        let (calls, decisions, obliging) = Default::default();
        Self { server, client, rng, calls, decisions, obliging }
    }

    fn ask(&mut self, action: &str, http: Option<Value>) -> Value {
        let mut asked = json!({
            "subject": {"type": "user", "id": format!("u{}", self.rng.below(5))}, "action": {"name": action},
            "resource": {"type": "item", "id": "1"}, "understands": ["mask", "sign"]
        });
        if let Some(http) = http {
            asked["http"] = http;
        }
        self.client.post("/v1/decide", &asked).expect_status(200).json()
    }

    fn id_of(answer: &Value) -> &str {
        answer["decision_id"].as_str().unwrap_or_else(|| panic!("{answer}"))
    }

    /// A decision of this action that can be acted on.
    fn obliging(&mut self, action: &str) -> String {
        if let Some(id) = self.obliging.get(action) {
            return id.clone();
        }
        let id = Self::id_of(&self.ask(action, None)).to_owned();
        self.obliging.insert(action.to_owned(), id.clone());
        id
    }

    fn count(&mut self, plugin: &'static str) {
        *self.calls.entry(plugin).or_default() += 1;
    }

    /// A request that plugins look at; whether it was rejected.
    fn look(&mut self) -> bool {
        let http = traffic::request(&mut self.rng);
        let action = if self.rng.one_in(4) { "closed" } else { "open" };
        let answer = self.ask(action, Some(http));
        let rejected = answer["reasons"][0].as_str().is_some_and(|reason| reason.starts_with("rejected:"));
        assert!(!answer.to_string().contains("plugin_failed"), "{answer}");
        self.count("injection-guard");
        if !rejected {
            self.count("bot-hint");
        }
        self.decisions.insert(Self::id_of(&answer).to_owned());
        rejected
    }

    /// Masks a document; how many edits were made.
    fn mask(&mut self) -> u64 {
        let action = format!("show-{}", self.rng.below(MASKING));
        let document = traffic::document(&mut self.rng);
        let body = json!({"decision_id": self.obliging(&action), "document": document});
        let masked = self.client.post("/v1/mask", &body).expect_status(200).json();
        self.count("pii-mask");
        masked["edits"].as_u64().unwrap()
    }

    fn sign(&mut self) {
        let action = *self.rng.pick(&["to-partner", "to-webhook"]);
        let message = traffic::message(&mut self.rng);
        let body = json!({"decision_id": self.obliging(action), "message": message});
        let _ = self.client.post("/v1/sign", &body).expect_status(200);
        self.count("request-signer");
    }

    fn replay(&self, arguments: &[&str]) -> Ran {
        Cli::new([&["plugin", "replay"], arguments].concat()).path("--data", self.server.data()).run()
    }
}

fn lines(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_thousand_calls_of_all_bundled_plugins_come_out_the_same() {
    let mut recording = Recording::start(41);
    let rounds = soak(290, 20_000);
    let (mut rejected, mut edits) = (0, 0);
    for round in 0..rounds {
        if round % 500 == 0 {
            recording.obliging.clear();
        }
        rejected += usize::from(recording.look());
        edits += recording.mask();
        recording.sign();
    }
    let made: usize = recording.calls.values().sum();
    assert!(made >= soak(1_000, 70_000), "{:?}", recording.calls);
    assert!(
        rejected > rounds / 10 && rejected < rounds && edits > 0,
        "{rejected} of {rounds}, {edits} edits"
    );

    let all = recording.replay(&["--all", "--json"]).expect_status(0);
    let (mut found, mut fuels) = (BTreeMap::<String, usize>::new(), BTreeMap::<String, BTreeSet<u64>>::new());
    let mut replayed = BTreeSet::new();
    for line in lines(&all) {
        assert_eq!(line["result"], "same", "{line}");
        let plugin = line["plugin"].as_str().unwrap().to_owned();
        *found.entry(plugin.clone()).or_default() += 1;
        fuels.entry(plugin).or_default().insert(line["fuel"].as_u64().unwrap());
        replayed.insert(line["record"].as_str().unwrap().to_owned());
    }
    let expected: BTreeMap<_, _> =
        recording.calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(found, expected, "every call was recorded, and made again");
    assert!(recording.decisions.is_subset(&replayed));
    assert!(fuels.values().all(|fuels| fuels.len() > 50), "the calls of a plugin differ: {fuels:?}");
    let summary = format!("{made} calls the same, 0 differ, 0 not compared");
    assert!(all.stderr.contains(&summary), "{}", all.stderr);
}

#[test]
fn those_that_are_named_or_newer_are_made_again_and_one_that_was_altered_is_a_failure() {
    let mut recording = Recording::start(42);
    for _ in 0..3 {
        recording.look();
        recording.sign();
    }
    let all = lines(&recording.replay(&["--all", "--json"]).expect_status(0));
    let ids: Vec<&str> = recording.decisions.iter().map(String::as_str).collect();
    let some = recording.replay(&[ids[2], ids[0]]).expect_status(0);
    assert!(some.stderr.contains("2 records:"), "{}", some.stderr);
    assert!(some.stdout.starts_with(ids[2]) && !some.stdout.contains(ids[1]), "{}", some.stdout);
    let quiet = recording.replay(&["--all", "--quiet"]).expect_status(0);
    assert_eq!(quiet.stdout, "");
    let summary = |counted: &str| format!("{counted}: {} calls the same, 0 differ", all.len());
    assert!(quiet.stderr.contains(&summary("6 records")), "{}", quiet.stderr);
    let since = |time: &str| recording.replay(&["--quiet", "--since", time]).expect_status(0).stderr;
    assert!(since("2020-01-01T00:00:00Z").contains("6 records:"));
    assert!(since("2200-01-01T00:00:00Z").contains("0 records:"));
    assert!(recording.replay(&["--since", "noon"]).expect_status(1).stderr.contains("RFC 3339"));
    for arguments in [&[] as &[&str], &["--all", ids[0]], &["--limit", "1"], &[ids[0], "--limit", "1"]] {
        let _ = recording.replay(arguments).expect_status(2);
    }
    let unknown = "dec_0197aaaabbbb7cccddddeeeeffff0001";
    let refused = recording.replay(&[ids[0], unknown]).expect_status(1);
    assert!(refused.stderr.contains(unknown) && refused.stdout.is_empty(), "{}", refused.output());

    // Something else in the place of what was recorded.
    assert_eq!(recording.server.stop(), 0);
    let segment = crate::audit::segments(recording.server.data()).pop().unwrap();
    let text = std::fs::read_to_string(&segment).unwrap();
    let of_it = text.lines().find(|line| line.contains(&format!("\"id\":\"{}\"", ids[1]))).unwrap();
    let start = of_it.find("\"plugin_calls\":\"").unwrap() + "\"plugin_calls\":\"".len() + 200;
    let letter = if &of_it[start..=start] == "A" { "B" } else { "A" };
    let altered = format!("{}{letter}{}", &of_it[..start], &of_it[start + 1..]);
    std::fs::write(&segment, text.replace(of_it, &altered)).unwrap();
    let ran = recording.replay(&["--all", "--json"]).expect_status(1);
    assert!(ran.stderr.contains(ids[1]) && ran.stderr.contains("the calls of 1 records"), "{}", ran.stderr);
    let others: Vec<_> = all.iter().filter(|line| line["record"] != ids[1]).collect();
    assert_eq!(lines(&ran).iter().collect::<Vec<_>>(), others, "the others are made again");
}
