//! Entities that would be in themselves.
//!
//! All of a tenant's data in a pack is looked at, as an import would leave it; the pack's own entities included, which
//! carry all that they are in. The time it takes grows with the number of parents, never with their depth alone.

use std::collections::HashMap;

use crate::administration::AdminError;
use crate::entity::row::Key;
use crate::entity::{EntityStore, Kind, PackData};

/// What is known of an entity on the way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// The way leads through it.
    OnTheWay,
    /// No way from it leads back.
    Clear,
}

struct Step<'d> {
    at: Key<'d>,
    parents: Vec<Key<'d>>,
}

/// Refuses data in which an entity is in itself.
///
/// # Errors
/// One such circle, from an entity to itself.
pub fn check(files: &EntityStore, data: &PackData) -> Result<(), AdminError> {
    let mut seen: HashMap<Key<'_>, Seen, foldhash::fast::RandomState> = HashMap::default();
    for row in data.rows() {
        // Who is nobody's parent can't be in a circle: an entity is looked at as a parent first of all.
        for parent in parents_of(files, data, row.key()) {
            if let Some(circle) = circle_from(files, data, parent, &mut seen) {
                return Err(named(data, &circle));
            }
        }
    }
    Ok(())
}

fn circle_from<'d>(
    files: &'d EntityStore,
    data: &'d PackData,
    start: Key<'d>,
    seen: &mut HashMap<Key<'d>, Seen, foldhash::fast::RandomState>,
) -> Option<Vec<Key<'d>>> {
    if seen.contains_key(&start) {
        return None;
    }
    seen.insert(start, Seen::OnTheWay);
    let mut way = vec![Step { at: start, parents: parents_of(files, data, start) }];
    while let Some(step) = way.last_mut() {
        let Some(next) = step.parents.pop() else {
            seen.insert(step.at, Seen::Clear);
            way.pop();
            continue;
        };
        match seen.get(&next) {
            Some(Seen::Clear) => {}
            Some(Seen::OnTheWay) => {
                let circle = way.iter().map(|step| step.at).skip_while(|at| *at != next);
                return Some(circle.chain([next]).collect());
            }
            None => {
                seen.insert(next, Seen::OnTheWay);
                way.push(Step { at: next, parents: parents_of(files, data, next) });
            }
        }
    }
    None
}

fn parents_of<'d>(files: &'d EntityStore, data: &'d PackData, key: Key<'d>) -> Vec<Key<'d>> {
    // The pack's own wins over a row of the same name.
    let own = data.uid(key).ok().and_then(|uid| files.get(&uid));
    match own {
        // A type that the data never names leads to no row of it.
        Some(entity) => entity.ancestors().filter_map(|uid| data.key(uid)).collect(),
        None => data.row(key).map(|row| row.parents().collect()).unwrap_or_default(),
    }
}

fn named(data: &PackData, circle: &[Key<'_>]) -> AdminError {
    let is_role = |key: &Key<'_>| data.row(*key).is_some_and(|row| row.kind() == Kind::Role);
    if circle.iter().all(is_role) {
        return AdminError::RoleCycle(circle.iter().map(|(_, id)| (*id).to_owned()).collect());
    }
    let name = |key: &Key<'_>| data.uid(*key).map_or_else(|_| key.1.to_owned(), |uid| uid.to_string());
    AdminError::ParentCycle(circle.iter().map(name).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cedar_policy_core::ast::{Eid, Entity, EntityType, EntityUID};

    use super::*;
    use crate::entity::{Data, EntityUpdate, RoleSettings, Status, Update};

    fn update((entity_type, id): (&str, &str), parents: &[(&str, &str)]) -> Update {
        let kind = if entity_type == "Role" { Kind::Role } else { Kind::Entity };
        let own = |(entity_type, id): &(&str, &str)| ((*entity_type).to_owned(), (*id).to_owned());
        Update::Entity(EntityUpdate {
            tenant: "t".into(),
            pack: "p".into(),
            entity_type: entity_type.into(),
            id: id.into(),
            kind,
            attributes: "{}".into(),
            tags: "{}".into(),
            parents: parents.iter().map(own).collect(),
            status: Status::Active,
            settings: RoleSettings::default(),
            version: 1,
        })
    }

    fn found(files: &EntityStore, updates: Vec<Update>) -> String {
        let data = Data::default().apply(updates);
        match check(files, data.pack("t", "p").unwrap()) {
            Ok(()) => "none".into(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn circles_are_found_and_named() {
        let none = EntityStore::default();
        let own = update(("Role", "a"), &[("Role", "a")]);
        assert_eq!(found(&none, vec![own]), "a role would inherit itself: a → a");
        let two = vec![update(("G", "a"), &[("G", "b")]), update(("G", "b"), &[("X", "y"), ("G", "a")])];
        let said = found(&none, two);
        assert!(
            said == "an entity would be in itself: G::\"a\" → G::\"b\" → G::\"a\""
                || said == "an entity would be in itself: G::\"b\" → G::\"a\" → G::\"b\"",
            "{said}"
        );
        let mixed = vec![update(("Role", "a"), &[("G", "b")]), update(("G", "b"), &[("Role", "a")])];
        assert!(found(&none, mixed).starts_with("an entity"));
    }

    #[test]
    fn deep_and_wide_hierarchies_without_circles_pass_in_time() {
        // A ladder: from each rung two ways lead on, two to the power of 20,000 in all.
        let names: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
        let rung = |n: usize| {
            let parents: Vec<_> = names.iter().skip(n + 1).take(2).map(|name| ("G", name.as_str())).collect();
            update(("G", &names[n]), &parents)
        };
        let mut updates: Vec<_> = (0..names.len()).map(rung).collect();
        assert_eq!(found(&EntityStore::default(), updates.clone()), "none");
        updates.push(update(("G", &names[19_999]), &[("G", &names[0])]));
        assert!(found(&EntityStore::default(), updates).starts_with("an entity"));
    }

    #[test]
    fn a_circle_through_the_packs_own_entities_is_found() {
        let uid = |id: &str| {
            EntityUID::from_components(EntityType::from_normalized_str("G").unwrap(), Eid::new(id), None)
        };
        let parents = [uid("store")].into_iter().collect();
        let own = Entity::new_with_attr_partial_value(uid("file"), [], Default::default(), parents, []);
        let files = EntityStore::new([Arc::new(own)]);
        assert!(found(&files, vec![update(("G", "store"), &[("G", "file")])]).starts_with("an entity"));
        // The row of the same name does not count.
        let shadowed = vec![update(("G", "file"), &[("G", "file")]), update(("G", "store"), &[("G", "x")])];
        assert_eq!(found(&files, shadowed), "none");
    }
}
