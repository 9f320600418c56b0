//! Worlds to decide in: policies, entities and questions, the same at every run.

use serde_json::{Value, json};

/// A world.
pub(crate) struct World {
    pub(crate) name: String,
    pub(crate) policies: String,
    pub(crate) entities: Value,
    pub(crate) questions: Vec<[String; 3]>,
}

/// Numbers that look random and are the same at every run (Marsaglia's xorshift, 2003).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound.max(1)).unwrap_or(1)).unwrap_or(0)
    }
}

const QUESTIONS: usize = 512;

fn reference(kind: &str, id: &str) -> Value {
    json!({"__entity": {"type": kind, "id": id}})
}

fn parent(kind: &str, id: &str) -> Value {
    json!({"type": kind, "id": id})
}

fn entity(kind: &str, id: &str, attrs: Value, parents: Vec<Value>) -> Value {
    json!({"uid": {"type": kind, "id": id}, "attrs": attrs, "parents": parents})
}

/// So many policies over the same number of entities: most about a group and a folder, some about one user, a kind of document, or everybody.
pub(crate) fn scale(count: usize) -> World {
    let mut policies = String::new();
    for n in 0..count {
        let policy = match n % 5 {
            0 | 1 => format!(
                "permit(principal in Group::\"g{n}\", action == Action::\"read\", resource in Folder::\"f{n}\");"
            ),
            2 => format!(
                "permit(principal in Group::\"g{n}\", action, resource in Folder::\"f{n}\") when {{ resource.level < 5 && context has office }};"
            ),
            3 => format!(
                "permit(principal == User::\"u{n}\", action in [Action::\"read\", Action::\"write\"], resource) when {{ resource.owner == principal }};"
            ),
            _ => format!(
                "forbid(principal, action == Action::\"write\", resource) when {{ resource has kind && resource.kind == \"k{n}\" }};"
            ),
        };
        policies.push_str(&policy);
        policies.push('\n');
    }
    let mut numbers = Numbers(7);
    // As many with few policies as with many: what differs between the scales is the policies alone.
    let some = 2_000;
    let mut entities = Vec::new();
    for n in 0..some {
        let (group, folder) = (numbers.below(count), numbers.below(count));
        let groups = vec![parent("Group", &format!("g{group}")), parent("Group", &format!("g{}", group / 2))];
        entities.push(entity("User", &format!("u{n}"), json!({}), groups));
        let owner = format!("u{}", numbers.below(some));
        let kind = format!("k{}", numbers.below(count));
        let level = numbers.below(10);
        let attrs = json!({"owner": reference("User", &owner), "level": level, "kind": kind});
        entities.push(entity("Doc", &format!("d{n}"), attrs, vec![parent("Folder", &format!("f{folder}"))]));
    }
    let questions = (0..QUESTIONS)
        .map(|n| {
            let action = if n % 2 == 0 { "read" } else { "write" };
            ask(("User", "u", numbers.below(some)), action, ("Doc", "d", numbers.below(some)))
        })
        .collect();
    World { name: format!("scale_{count}"), policies, entities: entities.into(), questions }
}

fn ask(
    (who, letter, n): (&str, &str, usize),
    action: &str,
    (what, of, m): (&str, &str, usize),
) -> [String; 3] {
    [format!("{who}::\"{letter}{n}\""), format!("Action::\"{action}\""), format!("{what}::\"{of}{m}\"")]
}

/// Documents in folders; people and groups of them who own or may see them (after Google Drive).
pub(crate) fn gdrive() -> World {
    let policies = "
        permit(principal, action in [Action::\"read\", Action::\"write\", Action::\"share\"], resource)
            when { resource in principal.owned };
        permit(principal, action == Action::\"read\", resource) when { resource in principal.viewable };
        permit(principal, action == Action::\"read\", resource) when { resource.public };
        permit(principal, action == Action::\"read\", resource) when { principal in resource.viewers };
        forbid(principal, action, resource) unless { principal has owned };
    ";
    let mut numbers = Numbers(11);
    let (users, groups, folders, documents) = (100, 20, 50, 300);
    let mut entities = Vec::new();
    for n in 0..groups {
        let parents = if n == 0 { vec![] } else { vec![parent("Group", &format!("g{}", numbers.below(n)))] };
        entities.push(entity("Group", &format!("g{n}"), json!({}), parents));
    }
    for n in 0..folders {
        let parents = if n == 0 { vec![] } else { vec![parent("Folder", &format!("f{}", numbers.below(n)))] };
        entities.push(entity("Folder", &format!("f{n}"), json!({}), parents));
    }
    for n in 0..documents {
        let attrs = json!({
            "public": numbers.below(10) == 0,
            "viewers": reference("Group", &format!("g{}", numbers.below(groups))),
        });
        let folder = parent("Folder", &format!("f{}", numbers.below(folders)));
        entities.push(entity("Document", &format!("d{n}"), attrs, vec![folder]));
    }
    for n in 0..users {
        let mut some = |kind: &str, letter: &str, of: usize| -> Vec<Value> {
            (0..3).map(|_| reference(kind, &format!("{letter}{}", numbers.below(of)))).collect()
        };
        let attrs =
            json!({"owned": some("Document", "d", documents), "viewable": some("Folder", "f", folders)});
        let group = parent("Group", &format!("g{}", numbers.below(groups)));
        entities.push(entity("User", &format!("u{n}"), attrs, vec![group]));
    }
    let questions = (0..QUESTIONS).map(|n| {
        let action = ["read", "write", "share"].get(n % 3).copied().unwrap_or("read");
        ask(("User", "u", numbers.below(users)), action, ("Document", "d", numbers.below(documents)))
    });
    World {
        name: "gdrive".into(),
        policies: policies.into(),
        questions: questions.collect(),
        entities: entities.into(),
    }
}

/// Repositories with a group for each of five roles, each within the next (after GitHub).
pub(crate) fn github() -> World {
    let roles = [
        ("pull", "readers"),
        ("triage", "triagers"),
        ("push", "writers"),
        ("maintain", "maintainers"),
        ("administer", "admins"),
    ];
    let policies: String = roles
        .iter()
        .map(|(action, role)| {
            format!("permit(principal, action == Action::\"{action}\", resource) when {{ principal in resource.{role} }};\n")
        })
        .chain(["permit(principal, action == Action::\"pull\", resource) when { resource has public && resource.public };\n".into()])
        .collect();
    let mut numbers = Numbers(13);
    let (users, teams, repositories) = (200, 30, 100);
    let mut entities = Vec::new();
    for n in 0..repositories {
        let mut attrs = json!({"public": n % 20 == 0});
        for (at, (_, role)) in roles.iter().enumerate() {
            let id = format!("r{n}-{role}");
            // Who may do more may do less.
            let parents = at.checked_sub(1).and_then(|at| roles.get(at));
            let parents = parents.map(|(_, lesser)| parent("Group", &format!("r{n}-{lesser}")));
            entities.push(entity("Group", &id, json!({}), parents.into_iter().collect()));
            if let Some(attrs) = attrs.as_object_mut() {
                attrs.insert((*role).into(), reference("Group", &id));
            }
        }
        entities.push(entity("Repository", &format!("r{n}"), attrs, vec![]));
    }
    let role_of = |numbers: &mut Numbers| {
        let role = roles.get(numbers.below(5)).map_or("readers", |(_, role)| role);
        parent("Group", &format!("r{}-{role}", numbers.below(repositories)))
    };
    for n in 0..teams {
        let parents = (0..5).map(|_| role_of(&mut numbers)).collect();
        entities.push(entity("Team", &format!("t{n}"), json!({}), parents));
    }
    for n in 0..users {
        let mut parents: Vec<Value> = (0..3).map(|_| role_of(&mut numbers)).collect();
        parents.push(parent("Team", &format!("t{}", numbers.below(teams))));
        entities.push(entity("User", &format!("u{n}"), json!({}), parents));
    }
    let questions = (0..QUESTIONS).map(|n| {
        let action = roles.get(n % 5).map_or("pull", |(action, _)| action);
        ask(("User", "u", numbers.below(users)), action, ("Repository", "r", numbers.below(repositories)))
    });
    World { name: "github".into(), policies, questions: questions.collect(), entities: entities.into() }
}

/// Lists of things to do, with an owner, readers and editors (after Cedar's own example).
pub(crate) fn tinytodo() -> World {
    let policies = "
        permit(principal, action in [Action::\"create\", Action::\"overview\"], resource == Application::\"todo\");
        permit(principal, action, resource) when { resource has owner && resource.owner == principal };
        permit(principal, action == Action::\"read\", resource)
            when { principal in resource.readers || principal in resource.editors };
        permit(principal, action in [Action::\"update\", Action::\"add\", Action::\"remove\"], resource)
            when { principal in resource.editors };
        permit(principal in Team::\"admin\", action, resource in Application::\"todo\");
    ";
    let mut numbers = Numbers(17);
    let (users, teams, lists) = (100, 20, 200);
    let mut entities =
        vec![entity("Application", "todo", json!({}), vec![]), entity("Team", "admin", json!({}), vec![])];
    for n in 0..teams {
        let parents = if n == 0 { vec![] } else { vec![parent("Team", &format!("t{}", numbers.below(n)))] };
        entities.push(entity("Team", &format!("t{n}"), json!({}), parents));
    }
    for n in 0..users {
        let mut parents = vec![parent("Team", &format!("t{}", numbers.below(teams)))];
        parents.extend((n % 25 == 0).then(|| parent("Team", "admin")));
        entities.push(entity("User", &format!("u{n}"), json!({}), parents));
    }
    for n in 0..lists {
        let attrs = json!({
            "owner": reference("User", &format!("u{}", numbers.below(users))),
            "readers": reference("Team", &format!("t{}", numbers.below(teams))),
            "editors": reference("Team", &format!("t{}", numbers.below(teams))),
        });
        entities.push(entity("List", &format!("l{n}"), attrs, vec![parent("Application", "todo")]));
    }
    let questions = (0..QUESTIONS).map(|n| {
        let action = ["read", "update", "add", "remove"].get(n % 4).copied().unwrap_or("read");
        ask(("User", "u", numbers.below(users)), action, ("List", "l", numbers.below(lists)))
    });
    World {
        name: "tinytodo".into(),
        policies: policies.into(),
        questions: questions.collect(),
        entities: entities.into(),
    }
}
