//! Cases that hold, cases that do not, and cases that are none.

use std::sync::Arc;

use super::*;
use crate::clock::SystemClock;
use crate::plugin::output::{Assessment, Contribution, Edit, Finding, Location, Replacement, Validated};
use crate::plugin::tests::{NOTHING, manifest, validator};
use crate::plugin::{Budget, CallFailure, Called, FailureKind, Hook, Input, Manifest, Output};
use crate::random::SystemRng;

fn file(text: &str) -> CaseFile {
    CaseFile::parse("a.yaml", text).unwrap()
}

/// The first case of a file, and its input.
fn case(hook: Hook, text: &str) -> (Case, Input) {
    let case: Case = serde_norway::from_str(text).unwrap();
    let input = case.input(hook, crate::clock::Timestamp(1_000)).unwrap();
    (case, input)
}

fn refused(hook: Hook, text: &str) -> String {
    let case: Case = serde_norway::from_str(text).unwrap();
    case.input(hook, crate::clock::Timestamp(0)).unwrap_err()
}

fn called(output: Result<Output, CallFailure>) -> Called {
    Called {
        output,
        fuel: 100,
        took: Duration::ZERO,
        memory_bytes: 0,
        logs: Vec::new(),
        logs_dropped: 0,
        transcript: None,
    }
}

fn finding(rule: &str, score: u8) -> Finding {
    Finding { rule: rule.into(), score, location: Location::Path, detail: "a detail".into() }
}

fn validated(findings: Vec<Finding>, rejection: Option<&str>) -> Called {
    called(Ok(Output::Validate(Validated { findings, rejection: rejection.map(str::to_owned) })))
}

/// How often a validator's answer differs from what is expected.
#[track_caller]
fn differs(called: &Called, expect: &str) -> usize {
    let (case, input) = case(Hook::Validate, &format!("{{request: {{}}, expect: {expect}}}"));
    case.expect.compare(called, &input).len()
}

#[test]
fn findings_are_compared_by_what_is_said_of_them() {
    let found = validated(vec![finding("a", 10), finding("b", 90)], None);
    assert_eq!(
        differs(&found, "{findings: [{rule: b}, {rule: a, score: 10, where: path, detail: detail}]}"),
        0
    );
    assert_eq!(differs(&found, "{findings: [{rule: a}]}"), 1, "one is not expected");
    assert_eq!(differs(&found, "{includes: [{rule: a}]}"), 0);
    assert_eq!(differs(&found, "{includes: [{rule: b, at_least: 90, at_most: 90}]}"), 0);
    for wrong in ["score: 11", "at_least: 11", "at_most: 9", "where: request", "detail: another"] {
        assert_eq!(differs(&found, &format!("{{includes: [{{rule: a, {wrong}}}]}}")), 1, "{wrong}");
    }
    assert_eq!(differs(&found, "{includes: [{rule: a}, {rule: a}]}"), 1, "one finding is one");
}

#[test]
fn a_rejection_must_be_said() {
    let rejected = validated(vec![finding("a", 10)], Some("bad"));
    assert_eq!(differs(&rejected, "{rejection: bad}"), 0);
    assert_eq!(differs(&rejected, "{rejection: worse}"), 1);
    assert_eq!(differs(&rejected, "{findings: [{rule: a}]}"), 1);
    assert_eq!(differs(&validated(Vec::new(), None), "{rejection: bad}"), 1);
}

#[test]
fn a_failure_must_be_said() {
    let failed = called(Err(CallFailure { kind: FailureKind::Fuel, message: "x".into() }));
    assert_eq!(differs(&failed, "{failure: fuel}"), 0);
    assert_eq!(differs(&failed, "{failure: memory}"), 1);
    assert_eq!(differs(&failed, "{findings: []}"), 1);
    assert_eq!(differs(&validated(Vec::new(), None), "{failure: fuel}"), 1);
    assert_eq!(differs(&validated(Vec::new(), None), "{fuel_at_most: 99}"), 1);
    assert_eq!(differs(&validated(Vec::new(), None), "{fuel_at_most: 100}"), 0);
    assert_eq!(differs(&validated(Vec::new(), None), "{logs: [x]}"), 1);
}

#[test]
fn a_case_that_expects_nothing_or_another_hooks_answer_fails() {
    assert_eq!(differs(&validated(Vec::new(), None), "{}"), 1);
    assert_eq!(differs(&validated(Vec::new(), None), "{risk: 0, headers: {}}"), 2);
}

#[test]
fn edits_and_what_they_make_of_the_document_are_compared() {
    let edit = |pointer: &str| Edit { pointer: pointer.into(), replacement: Replacement::Text("*".into()) };
    let compare = |expect: &str| {
        let text = format!(
            "{{document: {{a: 1, b: x}}, obligations: [{{pointer: /a, method: redact}}], expect: {expect}}}"
        );
        let (case, input) = case(Hook::Mask, &text);
        let answer = called(Ok(Output::Mask { edits: vec![edit("/a")] }));
        let nothing = called(Ok(Output::Mask { edits: Vec::new() }));
        (case.expect.compare(&answer, &input).len(), case.expect.compare(&nothing, &input).len())
    };
    assert_eq!(compare("{document: {a: \"*\", b: x}}"), (0, 1));
    assert_eq!(
        compare("{document: {a: 1, b: x}}"),
        (1, 1),
        "an obligation that is not met makes no document"
    );
    assert_eq!(compare("{edits: [{pointer: /a, text: \"*\"}]}"), (0, 1));
    assert_eq!(compare("{edits: [{pointer: /a, null: true}]}"), (2, 1));
    assert_eq!(compare("{edits: []}"), (1, 0));
}

#[test]
fn headers_are_compared_by_name_and_value() {
    let compare = |expect: &str| {
        let (case, input) =
            case(Hook::Sign, &format!("{{message: {{bytes_text: x}}, key: k, expect: {expect}}}"));
        let headers = vec![("a".to_owned(), "1".to_owned())];
        case.expect.compare(&called(Ok(Output::Sign { headers })), &input).len()
    };
    assert_eq!(compare("{headers: {a: \"1\"}}"), 0);
    assert_eq!(compare("{headers: {a: null}}"), 0);
    assert_eq!(compare("{headers: {a: \"2\"}}"), 1);
    assert_eq!(compare("{headers: {b: null}}"), 2);
}

#[test]
fn a_risk_is_compared_with_its_reasons() {
    let compare = |expect: &str| {
        let (case, input) = case(Hook::Detect, &format!("{{event: {{kind: decision}}, expect: {expect}}}"));
        let risk = vec![Contribution { points: 30, reason: "a".into() }];
        case.expect
            .compare(&called(Ok(Output::Detect(Assessment { risk, findings: Vec::new() }))), &input)
            .len()
    };
    assert_eq!(compare("{risk: 30, reasons: [a], findings: []}"), 0);
    assert_eq!(compare("{risk: {at_least: 20, at_most: 40}}"), 0);
    assert_eq!(compare("{risk: {at_least: 31}, reasons: [b]}"), 2);
    assert_eq!(compare("{risk: 0}"), 1);
}

#[test]
fn what_is_given_becomes_what_the_server_hands_over() {
    let text =
        "{request: {method: PUT, path: /a, query: b=1, headers: [[X-A, '1'], [x-a, '2']], body: {c: 1}}}";
    let (_, Input::Validate { request }) = case(Hook::Validate, text) else { panic!() };
    assert_eq!(
        (request.method.as_str(), request.path.as_str(), request.query.as_deref()),
        ("PUT", "/a", Some("b=1"))
    );
    assert_eq!(request.headers, [("x-a".to_owned(), "1".to_owned()), ("x-a".to_owned(), "2".to_owned())]);
    assert_eq!(request.body.bytes(), br#"{"c":1}"#);
}

#[test]
fn what_is_missing_or_foreign_is_named() {
    assert!(refused(Hook::Validate, "{}").contains("`request`"));
    assert!(refused(Hook::Validate, "{request: {}, key: k}").contains("`key`"));
    assert!(refused(Hook::Validate, "{request: {body: 1, body_text: x}}").contains("only one"));
    assert!(refused(Hook::Validate, "{request: {body_base64: '?'}}").contains("base64"));
    assert!(refused(Hook::Detect, "{request: {}, event: {kind: a}}").contains("only one"));
    assert!(refused(Hook::Sign, "{message: {bytes_text: a, method: GET}, key: k}").contains("either"));
    assert!(refused(Hook::Sign, "{message: {bytes_text: a}}").contains("`key`"));
    assert!(serde_norway::from_str::<Case>("{requests: {}}").is_err());
}

#[test]
fn a_file_out_of_form_is_named_with_its_place() {
    let message = |text: &str| CaseFile::parse("a.yaml", text).unwrap_err().to_string();
    assert!(message("cases:\n  - name: x\n    expects: {}\n").starts_with("a.yaml:3:"));
    assert!(message("cases:\n  - expect: {}\n").contains("no `name`"));
    assert!(message("case: []\n").contains("case"));
}

#[test]
fn keys_of_one_name_must_be_one_key() {
    let keys = |secret: &str| {
        file(&format!("keys: {{k: {{algorithm: ed25519, secret: {secret}}}}}\ncases: []")).keys
    };
    let mut all = keys("a");
    all.join(&keys("a")).unwrap();
    assert!(all.join(&keys("b")).unwrap_err().to_string().contains("`k`"));
}

#[test]
fn keys_of_cases_compute_what_they_are_called() {
    let text = "keys: {h: {algorithm: hmac-sha256, secret: Jefe}, e: {algorithm: ed25519, secret: x}, \
                s: {algorithm: xchacha20-poly1305, secret: x}}\ncases: []";
    let keys = file(text).keys.make().unwrap();
    // RFC 4231 §4.3.
    let code = keys.sign("h", b"what do ya want for nothing?").unwrap();
    assert_eq!(hex::encode(&code), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    let signature = keys.sign("e", b"m").unwrap();
    assert_eq!(
        (keys.verify("e", b"m", &signature), keys.verify("e", b"n", &signature)),
        (Ok(true), Ok(false))
    );
    let sealed = keys.seal("s", b"plain", b"here").unwrap();
    assert_eq!(keys.open("s", &sealed, b"here").as_deref(), Ok(&b"plain"[..]));
    assert!(keys.open("s", &sealed, b"there").is_err() && keys.sign("s", b"m").is_err());
    assert!(file("keys: {k: {algorithm: ed25519}}\ncases: []").keys.make().is_err());
    assert!(file("keys: {k: {algorithm: ed25519, secret_base64: AAAA}}\ncases: []").keys.make().is_err());
}

fn run_with(manifest: &Manifest, body: &str, text: &str) -> Vec<CaseResult> {
    let component = validator("", body);
    let setup = Setup {
        component: &component,
        manifest,
        budget: Budget { fuel: 100_000, ..manifest.budget },
        clock: Arc::new(SystemClock::new()),
        rng: Arc::new(SystemRng::new()),
        patience: None,
    };
    run(setup, &[file(text)]).unwrap()
}

#[test]
fn a_case_runs_in_the_sandbox_under_its_budgets() {
    let manifest = manifest(&[]);
    let text = "cases:\n- {name: one, request: {}, expect: {findings: []}}\n\
                - {name: two, request: {}, expect: {rejection: no}}\n";
    let results = run_with(&manifest, NOTHING, text);
    assert_eq!((results[0].differences.len(), results[1].differences.len()), (0, 1), "{results:?}");
    assert!(results[0].fuel > 0 && results[0].fuel == results[1].fuel);
    let text = "cases:\n- {name: it ends, request: {}, expect: {failure: fuel}}\n";
    let results = run_with(&manifest, &format!("(loop (br 0)) {NOTHING}"), text);
    assert_eq!(results[0].differences, Vec::<String>::new());
}

#[test]
fn a_configuration_that_does_not_fit_fails_its_case_alone() {
    let mut manifest = manifest(&[]);
    manifest.config_schema =
        Some(serde_json::json!({"type": "object", "properties": {"a": {"type": "integer"}}}));
    let text = "config: {a: 1}\ncases:\n- {name: one, request: {}, expect: {findings: []}}\n\
                - {name: two, config: {a: x}, request: {}, expect: {findings: []}}\n";
    let results = run_with(&manifest, NOTHING, text);
    assert!(results[0].differences.is_empty(), "{results:?}");
    assert!(results[1].differences[0].contains("`config.a`"), "{results:?}");
    manifest.config_schema = None;
    let results = run_with(&manifest, NOTHING, text);
    assert!(results[0].differences[0].contains("takes no configuration"), "{results:?}");
}

#[test]
fn files_are_read_in_the_order_of_their_names_and_a_missing_folder_has_none() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.yaml", "a.yml", "c.txt"] {
        std::fs::write(folder.path().join(name), "cases: []").unwrap();
    }
    let shown: Vec<_> = read(folder.path()).unwrap().into_iter().map(|file| file.shown).collect();
    assert!(shown.len() == 2 && shown[0].ends_with("a.yml") && shown[1].ends_with("b.yaml"), "{shown:?}");
    assert!(read(&folder.path().join("nowhere")).unwrap().is_empty());
    std::fs::write(folder.path().join("b.yaml"), "cases: {").unwrap();
    assert!(read(folder.path()).is_err());
}

#[test]
fn cases_end_when_their_time_is_over() {
    let manifest = manifest(&[]);
    let component = validator("", NOTHING);
    let setup = Setup {
        component: &component,
        manifest: &manifest,
        budget: manifest.budget,
        clock: Arc::new(SystemClock::new()),
        rng: Arc::new(SystemRng::new()),
        patience: Some(Duration::from_millis(1)),
    };
    let text = "cases:\n- {name: one, request: {}, repeat: 4294967295, expect: {findings: []}}\n";
    assert!(matches!(run(setup, &[file(text)]), Err(TrialError::TooLong(_))));
}
