//! What filters select in real databases against evaluating each row, on generated worlds.

use cedar_policy_core::ast::{Eid, EntityUID, Literal, Value as CedarValue};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use smol_str::SmolStr;

use super::super::judge;
use super::*;
use crate::decision::slice::lay_over;
use crate::decision::value::Record as CedarRecord;
use crate::decision::{Evaluator, Verdict};
use crate::entity::Data;
use crate::policy::files::{PackFiles, SourceFile};
use crate::question::Asked;
use crate::store::filter::tests::{Database, Row};

const MANIFEST: &str = r#"
name = "world"
[filter.Document]
table = "documents"
id = "id"
[filter.Document.columns]
owner = { column = "owner", entity = "User" }
folder = { column = "folder", entity = "Folder" }
title = "title"
"meta.note" = "note"
level = { column = "level", type = "long" }
archived = { column = "archived", type = "bool" }
tags = { table = "tags", key = "document", value = "tag" }
viewers = { column = "viewers", set = true, entity = "User" }
"#;

fn pack(policies: &str, manifest: &str) -> Result<Arc<Pack>, String> {
    let uid = |of: &str, id: &str| json!({"type": of, "id": id});
    let entity = |of: &str, id: &str, attrs: Json, parents: Vec<Json>| json!({"uid": uid(of, id), "attrs": attrs, "parents": parents});
    let entities = json!([
        entity("Group", "g", json!({}), vec![]),
        entity("User", "a", json!({"level": 1, "title": "x"}), vec![uid("Group", "g")]),
        entity("User", "b", json!({}), vec![]),
        entity("Folder", "f", json!({}), vec![]),
        entity("Folder", "h", json!({}), vec![uid("Folder", "f")]),
        entity("Document", "d1", json!({"level": 2}), vec![uid("Folder", "h")]),
        entity("Document", "d2", json!({}), vec![uid("Folder", "f")]),
    ]);
    let file = |text: &str| SourceFile { shown: "generated".into(), text: text.into() };
    let files = [
        ("pack.toml".to_owned(), file(manifest)),
        ("x.cedar".to_owned(), file(policies)),
        ("entities.json".to_owned(), file(&entities.to_string())),
    ];
    Pack::load(&PackFiles { files: files.into() }).map(Arc::new).map_err(|problems| format!("{problems:?}"))
}

/// Texts that quoting, patterns and comparisons trip over.
const TEXTS: [&str; 12] = ["", "x", "X", "x'y", "\"", "100%", "a_b", "ab", "[x]", "*", "\\", "é☃"];

fn atom() -> impl Strategy<Value = String> {
    let text = prop::sample::select(TEXTS.to_vec()).prop_map(|text| json!(text).to_string());
    let pattern = prop::sample::select(vec![
        "*", "x*", "*%", "a_b", "*'*", "[x*", "\\\\", "\\**", "?", "*é*", "", "a*b!",
    ]);
    let who = prop::sample::select(vec!["principal", "User::\"a\"", "User::\"b\""]);
    prop_oneof![
        text.clone().prop_map(|text| format!("resource.title == {text}")),
        text.clone().prop_map(|text| format!("resource.meta.note != {text}")),
        text.clone().prop_map(|text| format!("resource.tags.contains({text})")),
        text.clone().prop_map(|text| format!("resource.tags.containsAny([{text}, \"x\", 1])")),
        text.clone().prop_map(|text| format!("resource.tags.containsAll([{text}, \"x\"])")),
        text.prop_map(|text| format!("[{text}, \"ab\", 7].contains(resource.title)")),
        pattern.prop_map(|pattern| format!("resource.title like \"{pattern}\"")),
        who.clone().prop_map(|who| format!("resource.owner == {who}")),
        who.clone().prop_map(|who| format!("resource.viewers.contains({who})")),
        who.clone().prop_map(|who| format!("{who} in resource.viewers")),
        who.prop_map(|who| format!("{who} in resource.owner")),
        (0..3_i64).prop_map(|level| format!("resource.level < {level}")),
        (0..3_i64).prop_map(|level| format!("{level} <= resource.level")),
        prop::sample::select(vec![
            "resource.archived",
            "resource.owner in Group::\"g\"",
            "resource in Folder::\"f\"",
            "resource in [Folder::\"h\", Document::\"d3\"]",
            "resource.folder in Folder::\"f\"",
            "resource == Document::\"d1\"",
            "resource is Document",
            "resource has owner",
            "resource has meta.note",
            "resource has meta",
            "resource.meta has note",
            "resource has title && resource.title == principal.title",
            "resource.tags.isEmpty()",
            "resource.viewers.isEmpty()",
            "resource.title == resource.meta.note",
            "principal in Group::\"g\"",
            "principal.level == resource.level",
            "resource.title < 3",
            "resource.level == \"x\"",
            "context.sure",
            "context.missing",
            "resource.owner is User",
            "resource.title in Group::\"g\"",
        ])
        .prop_map(str::to_owned),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    atom().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("({one}) && ({other})")),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("({one}) || ({other})")),
            inner.clone().prop_map(|one| format!("!({one})")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(test, one, other)| format!("(if {test} then {one} else {other})")),
        ]
    })
}

fn policies() -> impl Strategy<Value = String> {
    let scope = prop::sample::select(vec![
        "principal, action, resource",
        "principal in Group::\"g\", action, resource",
        "principal, action, resource in Folder::\"f\"",
        "principal, action, resource == Document::\"d3\"",
    ]);
    let one = (prop::sample::select(vec!["permit", "permit", "forbid"]), scope, condition())
        .prop_map(|(effect, scope, when)| format!("{effect}({scope}) when {{ {when} }};"));
    prop::collection::vec(one, 1..4).prop_map(|all| all.join("\n"))
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let text = || prop::option::of(prop::sample::select(TEXTS.to_vec()).prop_map(str::to_owned));
    let user = || prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned);
    let row = (
        (prop::option::of(user()), prop::option::of(prop::sample::select(vec!["f", "h", "z"]))),
        (text(), text()),
        (prop::option::of(0..3_i64), prop::option::of(any::<bool>())),
        prop::collection::btree_set(prop::sample::select(TEXTS.to_vec()), 0..3),
        prop::option::of(prop::collection::btree_set(user(), 0..3)),
    );
    prop::collection::vec(row, 6).prop_map(|rows| {
        let made = rows.into_iter().enumerate();
        let made =
            made.map(|(place, ((owner, folder), (title, note), (level, archived), tags, viewers))| Row {
                id: format!("d{place}"),
                owner,
                folder: folder.map(str::to_owned),
                title,
                note,
                level,
                archived,
                tags: tags.into_iter().map(str::to_owned).collect(),
                viewers: viewers.map(|all| all.into_iter().collect()),
            });
        made.collect()
    })
}

/// What the row says of the resource. (A request can't name entities in properties; a row can.)
fn properties(row: &Row) -> CedarRecord {
    let text = |text: &String| CedarValue::from(Literal::String(text.as_str().into()));
    let entity = |of: &str, id: &String| {
        let of = EntityType::from_normalized_str(of).unwrap();
        CedarValue::from(Literal::from(EntityUID::from_components(of, Eid::new(id.as_str()), None)))
    };
    let note = row.note.as_ref().map(|note| CedarValue::record([("note", text(note))], None));
    let viewers = row.viewers.as_ref().map(|all| all.iter().map(|id| entity("User", id)));
    let all = [
        ("owner", row.owner.as_ref().map(|id| entity("User", id))),
        ("folder", row.folder.as_ref().map(|id| entity("Folder", id))),
        ("title", row.title.as_ref().map(text)),
        ("meta", note),
        ("level", row.level.map(|level| CedarValue::from(Literal::Long(level)))),
        ("archived", row.archived.map(|archived| CedarValue::from(Literal::Bool(archived)))),
        ("tags", Some(CedarValue::set(row.tags.iter().map(text), None))),
        ("viewers", viewers.map(|viewers| CedarValue::set(viewers, None))),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name.into(), value?))).collect()
}

fn asked(who: &str, id: &str) -> String {
    json!({"subject": {"type": "User", "id": who}, "action": {"name": "read"},
        "resource": {"type": "Document", "id": id}, "context": {"sure": true}})
    .to_string()
}

fn by_evaluation(pack: &Arc<Pack>, who: &str, rows: &[Row]) -> Vec<String> {
    let data = Data::default();
    let facts = pack.facts(&data, "red", Timestamp(0));
    let allowed = rows.iter().filter(|row| {
        let text = asked(who, &row.id);
        let asked: Asked<'_> = serde_json::from_str(&text).unwrap();
        let mut question = Assertions::parse(&asked).unwrap().question(&asked, pack, facts).unwrap();
        let stored = facts.about(&question.resource).get(&question.resource).unwrap();
        let overlay = pack.settings.properties.resource;
        question.laid_over.extend(lay_over(stored.as_ref(), &question.resource, &properties(row), overlay));
        judge((Evaluator::Compiled, pack), facts, &question, &|_| false, |_| {}).1.verdict == Verdict::Allow
    });
    allowed.map(|row| row.id.clone()).collect()
}

fn condition_of(pack: &Arc<Pack>, who: &str) -> Result<Formula, ResidualError> {
    let text = asked(who, "");
    let asked: Asked<'_> = serde_json::from_str(&text).unwrap();
    let entity_type = pack.entity_type("Document").unwrap();
    let work = Work {
        data: Arc::default(),
        tenant: "red".into(),
        pack: Arc::clone(pack),
        at: Timestamp(0),
        assertions: Assertions::parse(&asked).unwrap(),
        asked: super::super::search::bare(&asked),
        mapping: Arc::clone(pack.rows(&entity_type).unwrap()),
    };
    work.condition(&entity_type, &|| false)
}

#[expect(clippy::disallowed_methods, reason = "a test stands outside the program: it has a real environment")]
fn worlds() -> u32 {
    if std::env::var_os("PORTCULLIS_SOAK").is_some_and(|value| value == "1") { 20_000 } else { 400 }
}

fn compare(dialect: Dialect) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let Some(database) = runtime.block_on(Database::open(dialect)) else { return };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(worlds())
    });
    let (conditional, refused) = (std::cell::Cell::new(0_u32), std::cell::Cell::new(0_u32));
    let skip = prop::sample::select(vec!["deny", "skip"]);
    runner
        .run(&(policies(), rows(), skip), |(policies, rows, on_error)| {
            let manifest = format!("on_policy_error = \"{on_error}\"\n{MANIFEST}");
            let pack = pack(&policies, &manifest).map_err(TestCaseError::fail)?;
            for who in ["a", "b"] {
                let condition = match condition_of(&pack, who) {
                    Ok(condition) => condition,
                    Err(ResidualError::Inexpressible { .. }) => {
                        refused.set(refused.get() + 1);
                        continue;
                    }
                    Err(error) => return Err(TestCaseError::fail(error.to_string())),
                };
                if outcome(&condition) == "conditional" {
                    conditional.set(conditional.get() + 1);
                }
                let mapping = pack.rows(&pack.entity_type("Document").unwrap()).unwrap();
                let selection = render(&condition, mapping, dialect).unwrap();
                let found = runtime.block_on(database.select(&rows, &selection));
                prop_assert_eq!(found, by_evaluation(&pack, who, &rows), "{} by {}", who, selection.sql);
            }
            Ok(())
        })
        .unwrap();
    let (conditional, refused) = (conditional.get(), refused.get());
    assert!(
        conditional > worlds() / 2 && refused < worlds() / 4,
        "{conditional} conditional, {refused} refused"
    );
}

#[test]
fn sqlite_selects_what_evaluations_allow() {
    compare(Dialect::Sqlite);
}

#[test]
fn postgresql_selects_what_evaluations_allow() {
    compare(Dialect::Postgresql);
}

#[test]
fn what_no_condition_can_say_is_named() {
    let pack = pack("permit(principal, action, resource)\nwhen { resource.secret == 1 };", MANIFEST).unwrap();
    let error = condition_of(&pack, "a").unwrap_err();
    let ResidualError::Inexpressible { policy, line, clause, .. } = &error else { panic!("{error}") };
    assert_eq!((policy.as_str(), *line, clause.as_str()), ("x#1", 1, "resource.secret"));
    assert!(error.to_string().contains("no column is mapped for `secret`"));
}

#[test]
fn a_name_that_could_be_more_is_refused() {
    for name in ["id; DROP TABLE x", "\"", "a.b.c", "", "1a", "é", "portcullis_set"] {
        let manifest = format!("name = \"world\"\n[filter.Document]\nid = {}", json!(name));
        assert!(pack("permit(principal, action, resource);", &manifest).is_err(), "{name}");
    }
}

#[test]
fn what_is_known_of_one_row_is_no_longer_asked_of_it() {
    let pack = pack("permit(principal, action, resource) when { resource.level == 2 };", MANIFEST).unwrap();
    let condition = condition_of(&pack, "a").unwrap();
    let mapping = pack.rows(&pack.entity_type("Document").unwrap()).unwrap();
    let selection = render(&condition, mapping, Dialect::Postgresql).unwrap();
    assert!(selection.parameters.contains(&json!("d1")), "{}", selection.sql);
    assert_eq!(SmolStr::new(outcome(&condition)), "conditional");
}
