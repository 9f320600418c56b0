//! What entities are in, worked out slowly from the definition, and by a view.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proptest::prelude::*;

use super::super::ancestry::LONGEST_CHAIN;
use super::*;

/// The rows, as a list would have them.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) rows: BTreeMap<Named, EntityUpdate>,
    pub(super) assigned: BTreeMap<String, AssignmentUpdate>,
    pub(super) statuses: BTreeMap<Named, Status>,
    pub(super) files: BTreeMap<Named, Vec<Named>>,
}

impl Model {
    pub(super) fn change(&mut self, update: &Update) {
        match update {
            Update::Entity(row) => {
                let key = (row.entity_type.clone(), row.id.clone());
                self.rows.insert(key.clone(), row.clone());
                self.statuses.insert(key, row.status);
            }
            Update::EntityGone { entity_type, id, status, .. } => {
                let key = (entity_type.clone(), id.clone());
                self.rows.remove(&key);
                self.statuses.insert(key, *status);
            }
            Update::Assignment(row) => {
                self.assigned.insert(row.id.clone(), row.clone());
            }
            Update::AssignmentGone { id, .. } => {
                self.assigned.remove(id);
            }
        }
    }

    pub(super) fn parents(&self, of: &Named) -> Vec<Named> {
        match self.files.get(of) {
            Some(parents) => parents.clone(),
            None => self.rows.get(of).map(|row| row.parents.clone()).unwrap_or_default(),
        }
    }

    fn exists(&self, of: &Named) -> bool {
        let mut assigned = self.assigned.values();
        self.files.contains_key(of) || self.rows.contains_key(of) || assigned.any(|one| one.subject == *of)
    }

    fn closure(&self, of: &Named, more: &dyn Fn(&Named) -> Vec<Named>) -> BTreeSet<Named> {
        let mut all = BTreeSet::from([of.clone()]);
        loop {
            let next: Vec<Named> =
                all.iter().flat_map(|one| [self.parents(one), more(one)].concat()).collect();
            let before = all.len();
            all.extend(next);
            if all.len() == before {
                all.remove(of);
                return all;
            }
        }
    }

    fn covers(&self, scope: &Scope, asked: &Scope) -> bool {
        let owned = |one: &String, other: &String| (one.clone(), other.clone());
        match (scope, asked) {
            (Scope::Tenant, _) => true,
            (Scope::Resource(..), Scope::Resource(..)) => scope == asked,
            (Scope::ResourceTree(t, i), Scope::Resource(u, j) | Scope::ResourceTree(u, j)) => {
                let (tree, asked) = (owned(t, i), owned(u, j));
                tree == asked || self.closure(&asked, &|_| Vec::new()).contains(&tree)
            }
            _ => false,
        }
    }

    fn in_force(&self, one: &AssignmentUpdate, asked: &Scope, now: Timestamp, chain: u8) -> bool {
        let in_time = one.starts_at.is_none_or(|at| at <= now) && one.ends_at.is_none_or(|at| now < at);
        in_time
            && self.covers(&one.scope, asked)
            && one.delegated_by.as_ref().is_none_or(|delegator| {
                let active = self.statuses.get(delegator).is_none_or(|status| *status == Status::Active);
                active && chain > 0 && self.reach(delegator, &one.scope, now, chain - 1).contains(&one.role)
            })
    }

    pub(super) fn reach(&self, of: &Named, asked: &Scope, now: Timestamp, chain: u8) -> BTreeSet<Named> {
        self.closure(of, &|member| {
            let held = self.assigned.values().filter(|one| one.subject == *member);
            held.filter(|one| self.in_force(one, asked, now, chain)).map(|one| one.role.clone()).collect()
        })
    }
}

pub(super) fn pick(of: &'static str, many: usize) -> impl Strategy<Value = Named> {
    (0..many).prop_map(move |n| named(of, &format!("{}{n}", of.to_lowercase())))
}

fn anything() -> impl Strategy<Value = Named> {
    prop_oneof![pick("User", 3), pick("Group", 3), pick("Role", 3), pick("Doc", 2), pick("Folder", 2)]
}

fn parent() -> impl Strategy<Value = Named> {
    prop_oneof![3 => pick("Group", 3), 2 => pick("Role", 3), 3 => pick("Folder", 2), 1 => anything()]
}

pub(super) fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        2 => Just(Scope::Tenant),
        1 => pick("Doc", 2).prop_map(|(t, i)| Scope::Resource(t, i)),
        1 => prop_oneof![pick("Doc", 2), pick("Folder", 2)].prop_map(|(t, i)| Scope::ResourceTree(t, i)),
    ]
}

fn kind(of: &str) -> Kind {
    match of {
        "User" => Kind::User,
        "Group" => Kind::Group,
        "Role" => Kind::Role,
        _ => Kind::Entity,
    }
}

pub(super) fn update() -> impl Strategy<Value = Update> {
    let status =
        prop_oneof![4 => Just(Status::Active), 1 => Just(Status::Locked), 1 => Just(Status::Disabled)];
    let exclusive = prop::option::weighted(0.5, 0_usize..3);
    let row = (anything(), prop::collection::vec(parent(), 0..3), status.clone(), any::<u8>(), exclusive)
        .prop_map(|((entity_type, id), parents, status, level, exclusive)| {
            let kind = kind(&entity_type);
            let status = if kind.is_principal() { status } else { Status::Active };
            let attributes = format!("{{\"level\":{level}}}");
            let exclusive_with = exclusive.into_iter().map(|n| format!("role{n}")).collect();
            let settings = RoleSettings { exclusive_with, ..RoleSettings::default() };
            let settings = if kind == Kind::Role { settings } else { RoleSettings::default() };
            Update::Entity(EntityUpdate {
                attributes,
                parents,
                status,
                settings,
                ..entity(kind, &entity_type, &id)
            })
        });
    let gone = (anything(), status).prop_map(|((entity_type, id), status)| {
        let kind = kind(&entity_type);
        let status = if kind.is_principal() { status } else { Status::Active };
        Update::EntityGone {
            tenant: TENANT.into(),
            pack: PACK.into(),
            entity_type,
            id,
            kind,
            status,
            version: 1,
        }
    });
    let times = (prop::option::of(0_i64..8), prop::option::of(0_i64..8));
    let subject = prop_oneof![3 => pick("User", 3), 1 => pick("Group", 3), 1 => anything()];
    let delegator = prop::option::of(pick("User", 3));
    let held = (0_u8..8, subject, 0_usize..3, scope(), times, delegator).prop_map(
        |(id, subject, role, scope, (starts_at, ends_at), delegated_by)| {
            let (starts_at, ends_at) = (starts_at.map(Timestamp), ends_at.map(Timestamp));
            let plain = assignment(&id.to_string(), subject, &format!("role{role}"));
            Update::Assignment(AssignmentUpdate { scope, starts_at, ends_at, delegated_by, ..plain })
        },
    );
    let ended = (0_u8..8).prop_map(|id| Update::AssignmentGone {
        tenant: TENANT.into(),
        pack: PACK.into(),
        id: id.to_string(),
        version: 1,
    });
    prop_oneof![5 => row, 1 => gone, 5 => held, 1 => ended]
}

/// Files whose entities are in others, without circles: Cedar refuses these.
pub(super) fn files() -> impl Strategy<Value = BTreeMap<Named, Vec<Named>>> {
    let none = prop::collection::vec(prop_oneof![pick("Group", 3), pick("Role", 3), pick("Folder", 2)], 0..2);
    prop::collection::btree_map(prop_oneof![pick("User", 3), pick("Doc", 2)], none, 0..3)
}

pub(super) fn store(files: &BTreeMap<Named, Vec<Named>>) -> EntityStore {
    EntityStore::new(files.iter().map(|(key, parents)| {
        let parents: HashSet<_> = parents.iter().map(uid).collect();
        Arc::new(Entity::new_with_attr_partial_value(uid(key), [], HashSet::new(), parents, []))
    }))
}

pub(super) fn everything() -> Vec<Named> {
    let all = [("User", 3), ("Group", 3), ("Role", 3), ("Doc", 2), ("Folder", 2)];
    let each = |(of, many): (&'static str, usize)| {
        (0..many).map(move |n| named(of, &format!("{}{n}", of.to_lowercase())))
    };
    all.into_iter().flat_map(each).collect()
}

fn compare(model: &Model, data: &Data, store: &EntityStore, now: i64) {
    let principals = principals();
    let facts = facts(store, &principals, data, now);
    for resource in everything().into_iter().filter(|one| matches!(&*one.0, "Doc" | "Folder")) {
        let asked = Scope::Resource(resource.0.clone(), resource.1.clone());
        let resource = uid(&resource);
        let view = facts.about(&resource);
        for one in everything() {
            let found = view.get(&uid(&one)).unwrap();
            assert_eq!(found.is_some(), model.exists(&one), "{one:?} exists");
            let Some(found) = found else { continue };
            let ancestors: BTreeSet<_> = found.ancestors().cloned().collect();
            let reached = model.reach(&one, &asked, Timestamp(now), LONGEST_CHAIN);
            let expected: BTreeSet<_> = reached.iter().map(uid).collect();
            assert_eq!(ancestors, expected, "what {one:?} is in at {now}, asked about {resource}");
            let row = model.rows.get(&one).filter(|_| !model.files.contains_key(&one));
            let attributes =
                format!("{:?}", found.attrs().map(|(_, value)| value.to_string()).collect::<Vec<_>>());
            let level = row.map(|row| row.attributes.trim_matches(['{', '}']).replace("\"level\":", ""));
            assert_eq!(attributes, format!("{:?}", level.into_iter().collect::<Vec<_>>()));
        }
        assert!(view.window().has(Timestamp(now)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_view_shows_what_the_definition_says_remembered_or_not(
        steps in prop::collection::vec((prop::collection::vec(update(), 1..12), 0_i64..8), 1..4),
        files in files(),
    ) {
        let store = store(&files);
        let mut versions = vec![(Model { files, ..Model::default() }, Data::default(), 0)];
        for (updates, now) in steps {
            let (mut model, data, _) = versions.last().cloned().unwrap();
            updates.iter().for_each(|update| model.change(update));
            let data = data.apply(updates);
            compare(&model, &data, &store, now);
            versions.push((model, data, now));
        }
        // Snapshots that are still held see what they saw, whatever was remembered since; the clock may go back.
        for (model, data, now) in versions.iter().rev() {
            compare(model, data, &store, *now);
            compare(model, data, &store, 4);
        }
    }

    #[test]
    fn a_window_holds_what_was_seen_for_as_long_as_it_says(
        updates in prop::collection::vec(update(), 1..16),
        now in 0_i64..8,
    ) {
        let data = Data::default().apply(updates);
        let (store, principals) = (EntityStore::default(), principals());
        let resource = uid(&named("Doc", "doc0"));
        for one in everything() {
            let seen = |now| {
                let view = facts(&store, &principals, &data, now).about(&resource);
                let found = view.get(&uid(&one)).unwrap();
                (found.map(|found| found.ancestors().cloned().collect::<BTreeSet<_>>()), view.window())
            };
            let (ancestors, window) = seen(now);
            for other in (-1..9).filter(|other| window.has(Timestamp(*other))) {
                prop_assert_eq!(&seen(other).0, &ancestors, "at {} as at {}", other, now);
            }
        }
    }
}
