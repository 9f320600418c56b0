//! What searches find against trying everything, on generated worlds and in both homes of entities.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::soak;
use crate::entity::{AssignmentUpdate, EntityUpdate, Kind, RoleSettings, Scope, Status, Update};
use crate::policy::files::{PackFiles, SourceFile};

const NOW: i64 = 1_000;

fn pack(policies: &str, entities: &Value) -> Arc<Pack> {
    let file = |text: &str| SourceFile { shown: "generated".into(), text: text.into() };
    let files = [
        (
            "pack.toml".to_owned(),
            file("name = \"world\"\n[properties]\nsubject = \"override\"\nresource = \"override\""),
        ),
        ("x.cedar".to_owned(), file(policies)),
        ("entities.json".to_owned(), file(&entities.to_string())),
    ];
    Arc::new(Pack::load(&PackFiles { files: files.into() }).unwrap())
}

/// One entity: type, number, what it is in, and a level.
type Made = (&'static str, usize, Vec<(&'static str, usize)>, i64);

fn id_of((of, n): (&str, usize)) -> String {
    format!("{}{n}", of.to_lowercase().chars().next().unwrap_or('x'))
}

fn in_files(all: &[Made]) -> Value {
    let uid = |named: (&str, usize)| json!({"type": named.0, "id": id_of(named)});
    let entity = |made: &Made| {
        let parents: Vec<Value> = made.2.iter().map(|parent| uid(*parent)).collect();
        json!({"uid": uid((made.0, made.1)), "attrs": attributes(made), "parents": parents})
    };
    all.iter().map(entity).collect()
}

/// A level and what follows from it: somebody, some in whom others may be, a truth, and no or one word.
fn attributes((_, n, _, level): &Made) -> Value {
    let entity = |of: &'static str, n: usize| json!({"__entity": {"type": of, "id": id_of((of, n))}});
    let place = usize::try_from(*level).unwrap() + n;
    let mut all = json!({
        "level": level,
        "owner": entity("User", place % 6),
        "readers": [entity("Group", place % 4), entity("User", n % 6), entity("Role", n % 3)],
        "open": level % 2 == 0,
    });
    if n % 2 == 0 {
        all["word"] = json!(format!("w{level}"));
    }
    all
}

fn in_store(made: &Made) -> Update {
    let (of, n, parents, level) = made;
    Update::Entity(EntityUpdate {
        tenant: "red".into(),
        pack: "world".into(),
        entity_type: (*of).into(),
        id: id_of((of, *n)),
        kind: if *of == "User" { Kind::User } else { Kind::Entity },
        attributes: attributes(made).to_string(),
        tags: "{}".into(),
        parents: parents.iter().map(|parent| (parent.0.into(), id_of(*parent))).collect(),
        status: if *of == "User" && *level == 3 { Status::Locked } else { Status::Active },
        settings: RoleSettings::default(),
        version: 1,
    })
}

fn entities() -> impl Strategy<Value = Vec<Made>> {
    let one = (
        prop_oneof![Just("User"), Just("Doc"), Just("Folder"), Just("Group")],
        0_usize..6,
        0_usize..4,
        prop::option::weighted(0.4, 0_usize..4),
        0_i64..4,
    );
    prop::collection::vec(one, 1..24).prop_map(|all| {
        let mut made: Vec<Made> = Vec::new();
        for (of, n, within, also, level) in all {
            if made.iter().any(|known| (known.0, known.1) == (of, n)) {
                continue;
            }
            let parent = |within| match of {
                "User" => Some(("Group", within)),
                "Doc" if within % 2 == 0 || within <= n => Some(("Folder", within)),
                // Upwards alone: files may not go in circles.
                _ if within > n => Some((of, within)),
                _ => None,
            };
            let parents = parent(within).into_iter().chain(also.and_then(parent));
            made.push((of, n, parents.collect(), level));
        }
        made
    })
}

fn assignments() -> impl Strategy<Value = Vec<Update>> {
    let scope = prop_oneof![
        Just(Scope::Tenant),
        (0_usize..6).prop_map(|n| Scope::Resource("Doc".into(), id_of(("Doc", n)))),
        (0_usize..4).prop_map(|n| Scope::ResourceTree("Folder".into(), id_of(("Folder", n)))),
    ];
    let subject = prop_oneof![
        (0_usize..6).prop_map(|n| ("User", n)),
        (0_usize..4).prop_map(|n| ("Group", n)),
        (0_usize..6).prop_map(|n| ("Doc", n)),
    ];
    let one = (subject, 0_usize..3, scope, prop::option::of(900_i64..1_100));
    prop::collection::vec(one, 0..6).prop_map(|all| {
        let made = all.into_iter().enumerate().map(|(place, (subject, role, scope, ends_at))| {
            Update::Assignment(AssignmentUpdate {
                tenant: "red".into(),
                pack: "world".into(),
                id: format!("a{place}"),
                subject: (subject.0.into(), id_of(subject)),
                role: ("Role".into(), format!("r{role}")),
                scope,
                starts_at: None,
                ends_at: ends_at.map(Timestamp),
                delegated_by: None,
                version: 1,
            })
        });
        made.collect()
    })
}

fn scope(variable: &'static str, own: &'static str, group: &'static str) -> impl Strategy<Value = String> {
    (0_usize..9, 0_usize..4).prop_map(move |(form, n)| match form {
        0 | 1 => format!("{variable} == {own}::\"{}\"", id_of((own, n))),
        2 | 3 => format!("{variable} in {group}::\"{}\"", id_of((group, n))),
        4 => format!("{variable} is {own} in {group}::\"{}\"", id_of((group, n))),
        5 => format!("{variable} in Role::\"r{}\"", n % 3),
        6 => format!("{variable} in {own}::\"{}\"", id_of((own, n))),
        7 => format!("{variable} is {own}"),
        _ => variable.to_owned(),
    })
}

/// Tests of one side, of the other, and of both; some fail for some.
const CONDITIONS: [&str; 30] = [
    "true",
    "true",
    "true",
    "principal has level && principal.level > 1",
    "principal.level == 2",
    "resource.level < 2",
    "resource.level == 1",
    "1 == resource.level",
    "resource has word && resource.word == \"w2\"",
    "resource.word like \"w*\"",
    "principal in Role::\"r0\"",
    "principal in [Group::\"g1\", Role::\"r1\"]",
    "resource in Folder::\"f1\" || resource in Role::\"r1\"",
    "resource.owner == principal",
    "principal == resource.owner",
    "principal.owner == resource",
    "resource.owner == principal.owner",
    "principal in resource.readers",
    "principal.owner in resource.readers",
    "principal in resource.owner",
    "resource.readers.contains(principal)",
    "principal.readers.contains(resource.owner)",
    "resource in principal.readers",
    "resource.readers.containsAny([User::\"u1\", Group::\"g0\"])",
    "resource.readers.containsAll([User::\"u1\", Group::\"g0\"])",
    "principal.readers.containsAny(resource.readers)",
    "[1, 2].contains(resource.level)",
    "resource.open",
    "!resource.open && !principal.open",
    "principal is User && resource is Doc && context has never",
];

fn policies() -> impl Strategy<Value = String> {
    let effect = prop_oneof![4 => Just("permit"), 1 => Just("forbid")];
    let action = prop_oneof![
        Just("action"),
        Just("action == Action::\"read\""),
        Just("action in [Action::\"read\", Action::\"write\"]"),
    ];
    let plain = prop::sample::select(CONDITIONS.to_vec());
    let condition = (plain.clone(), plain, 0..6).prop_map(|(one, other, form)| match form {
        0 => format!("({one}) && ({other})"),
        1 => format!("({one}) || ({other})"),
        2 => format!("if {one} then {other} else resource.open"),
        _ => one.to_owned(),
    });
    let one =
        (effect, scope("principal", "User", "Group"), action, scope("resource", "Doc", "Folder"), condition);
    let shown = |(effect, principal, action, resource, condition)| {
        format!("{effect}({principal}, {action}, {resource}) when {{ {condition} }};")
    };
    prop::collection::vec(one.prop_map(shown), 1..6).prop_map(|all| all.join("\n"))
}

fn asked(subject: &str, action: &str, resource: &str) -> Asked<'static> {
    let party = |type_name: &'static str, id: &str| Party {
        type_name: type_name.into(),
        id: id.to_owned().into(),
        properties: None,
    };
    let action = Act { name: action.to_owned().into(), properties: None };
    Asked { subject: party("User", subject), action, resource: party("Doc", resource), context: None }
}

fn bounds(stop: &dyn Fn() -> bool) -> Bounds<'_> {
    Bounds { candidates: 1_000_000, stop }
}

fn work((pack, data): (&Arc<Pack>, &Arc<Data>), asked: Asked<'static>, target: Target, limit: usize) -> Work {
    Work {
        data: Arc::clone(data),
        tenant: "red".into(),
        pack: Arc::clone(pack),
        at: Timestamp(NOW),
        assertions: Assertions::parse(&asked).unwrap(),
        asked,
        target,
        from: None,
        limit,
    }
}

/// All pages in the order of ids, and whether they were found by an index.
fn found(
    world: (&Arc<Pack>, &Arc<Data>),
    lists: &shared::Lists,
    asked: &Asked<'static>,
    target: Target,
    limit: usize,
) -> (Vec<SmolStr>, By) {
    let (mut all, mut from): (Vec<SmolStr>, _) = (Vec::new(), None);
    loop {
        let mut work = work(world, asked.clone(), target, limit);
        work.from = from;
        let page = work.find(&bounds(&|| false), lists).unwrap();
        all.extend(page.ids);
        if !page.more {
            all.sort_unstable();
            return (all, page.by);
        }
        from = page.last;
    }
}

/// Which of these an evaluation allows.
fn tried(
    (pack, data): (&Arc<Pack>, &Arc<Data>),
    candidates: impl Iterator<Item = (SmolStr, Asked<'static>)>,
) -> Vec<SmolStr> {
    let facts = pack.facts(data, "red", Timestamp(NOW));
    let allowed = candidates.filter(|(_, asked)| {
        let question = Assertions::parse(asked).unwrap().question(asked, pack, facts).unwrap();
        judge((Evaluator::Compiled, pack), facts, &question, &|_| false, |_| {}).1.verdict == Verdict::Allow
    });
    let mut ids: Vec<SmolStr> = allowed.map(|(id, _)| id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// What a request says of nobody, of the subject, or of the resource.
const SAID: [[Option<&str>; 2]; 4] = [
    [None, None],
    [None, None],
    [Some(r#"{"level": 2, "word": "w2"}"#), None],
    [None, Some(r#"{"level": 1, "owner": {"__entity": {"type": "User", "id": "u3"}}, "open": true}"#)],
];

/// The same question, with what the request says.
fn saying(mut asked: Asked<'static>, said: usize) -> Asked<'static> {
    let [subject, resource] = SAID[said].map(|text| text.map(|text| serde_json::from_str(text).unwrap()));
    (asked.subject.properties, asked.resource.properties) = (subject, resource);
    asked
}

proptest! {
    #![proptest_config(ProptestConfig { cases: soak(1_000, 10_000), ..ProptestConfig::default() })]

    #[test]
    fn a_search_finds_what_evaluations_allow(
        text in policies(),
        made in entities(),
        assigned in assignments(),
        late in prop::collection::vec((0_usize..24, any::<bool>()), 0..6),
        home in 0_usize..3,
        said in 0_usize..4,
        limit in 1_usize..5,
    ) {
        let is_in_files = |place: usize| home == 0 || (home == 2 && place.is_multiple_of(2));
        let of = |wanted: bool| made.iter().enumerate().filter(move |(place, _)| is_in_files(*place) == wanted).map(|(_, one)| one.clone());
        let pack = pack(&text, &in_files(&of(true).collect::<Vec<_>>()));
        let data = Data::default().apply(of(false).map(|one| in_store(&one)).chain(assigned.clone()));
        // Made early, so that what comes later must be kept up with.
        if let Some(data) = data.pack("red", "world") {
            data.families();
        }
        let changes = late.iter().filter_map(|(place, gone)| {
            let (of, n, parents, level) = made.get(*place).filter(|_| !is_in_files(*place))?;
            let others = parents.iter().map(|(of, within)| (*of, (within + 1) % 4)).filter(|parent| *parent != (*of, *n));
            Some(match (*gone, in_store(&(*of, *n, others.collect(), *level))) {
                (true, Update::Entity(row)) => Update::EntityGone {
                    tenant: row.tenant,
                    pack: row.pack,
                    entity_type: row.entity_type,
                    id: row.id,
                    kind: row.kind,
                    status: row.status,
                    version: 1,
                },
                (_, update) => update,
            })
        });
        let taken = late.iter().filter(|(_, gone)| *gone).map(|(place, _)| Update::AssignmentGone {
            tenant: "red".into(), pack: "world".into(), id: format!("a{}", place % 6), version: 1,
        });
        let data = Arc::new(data.apply(changes.chain(taken)));
        let world = (&pack, &data);
        let facts = pack.facts(&data, "red", Timestamp(NOW));
        let all = |of: &str| candidates::all(facts, &of.parse().unwrap(), &bounds(&|| false)).unwrap();
        let lists = shared::Lists::default();
        let asked = |subject: &str, action: &str, resource: &str| saying(asked(subject, action, resource), said);
        for action in ["read", "fly"] {
            for n in 0..6 {
                let (user, doc) = (format!("u{n}"), format!("d{n}"));
                let by_subject = asked("", action, &doc);
                let expected = all("User").into_iter().map(|id| (id.clone(), asked(&id, action, &doc)));
                let (ids, _) = found(world, &lists, &by_subject, Target::Subject, limit);
                prop_assert_eq!(ids, tried(world, expected), "who may {} {}: {}", action, doc, &text);
                let by_resource = asked(&user, action, "");
                let expected = all("Doc").into_iter().map(|id| (id.clone(), asked(&user, action, &id)));
                let (ids, _) = found(world, &lists, &by_resource, Target::Resource, limit);
                prop_assert_eq!(ids, tried(world, expected), "{} may {} what: {}", user, action, &text);
                let expected = ["read", "write"].into_iter().filter(|name| pack.rules.actions().any(|uid| uid.eid().escaped() == *name));
                let expected = expected.map(|name| (SmolStr::new(name), asked(&user, name, &doc)));
                let (ids, _) = found(world, &lists, &asked(&user, "", &doc), Target::Action, limit);
                prop_assert_eq!(ids, tried(world, expected), "{} may what to {}: {}", user, doc, &text);
            }
        }
    }
}

fn documents(count: usize) -> Arc<Data> {
    let document = |n: usize| in_store(&("Doc", n, vec![("Folder", n % 1_000)], 1));
    Arc::new(Data::default().apply((0..count).map(document)))
}

#[test]
fn a_hundred_thousand_are_found_in_pages_each_once() {
    let data = documents(100_000);
    for (text, by) in [
        ("permit(principal, action, resource) when { resource has level };", By::Trial),
        ("permit(principal, action, resource in Folder::\"f7\");", By::Index),
    ] {
        let pack = pack(text, &json!([]));
        let (ids, how) = found(
            (&pack, &data),
            &shared::Lists::default(),
            &asked("u1", "read", ""),
            Target::Resource,
            1_000,
        );
        let mut expected: Vec<SmolStr> = (0..100_000)
            .filter(|n| by == By::Trial || n % 1_000 == 7)
            .map(|n| SmolStr::new(format!("d{n}")))
            .collect();
        expected.sort_unstable();
        assert_eq!((ids, how), (expected, by), "{text}");
    }
}

#[test]
fn the_index_tries_none_but_those_that_policies_name() {
    let data = documents(1_000);
    let pack = pack(
        r#"permit(principal == User::"u1", action == Action::"read", resource in Folder::"f3");
           permit(principal == User::"u1", action == Action::"read", resource == Doc::"d5");
           permit(principal == User::"u1", action == Action::"read", resource == Doc::"none");
           permit(principal == User::"u2", action == Action::"read", resource);
           forbid(principal, action, resource == Doc::"d5");"#,
        &json!([]),
    );
    let find = |who: &str| {
        let work = work((&pack, &data), asked(who, "read", ""), Target::Resource, 1_000);
        work.find(&bounds(&|| false), &shared::Lists::default()).unwrap()
    };
    let page = find("u1");
    assert_eq!((page.ids.as_slice(), page.by, page.evaluated), (&["d3".into()][..], By::Index, 2));
    let page = find("u2");
    assert_eq!((page.ids.len(), page.by, page.evaluated), (999, By::Trial, 1_000));
    let page = find("u3");
    assert_eq!((page.ids.len(), page.by, page.evaluated), (0, By::Index, 0));
}

#[test]
fn a_search_whose_time_is_over_ends() {
    let data = documents(10);
    let pack = pack("permit(principal, action, resource);", &json!([]));
    let work = work((&pack, &data), asked("u1", "read", ""), Target::Resource, 5);
    let ended = work.find(&bounds(&|| true), &shared::Lists::default());
    assert_eq!(ended.unwrap_err(), candidates::Beyond::Time);
}
