//! Each rule on what it is about, and on what looks like it and is not.

use super::*;
use crate::policy::files::SourceFile;

const SCHEMA: &str = r#"
entity Group;
entity User in [Group] { level: Long, nick?: String };
entity Admin { level: Long };
entity Document { owner: User, public: Bool };
action all;
action read, write in [all] appliesTo { principal: User, resource: Document, context: { mfa?: Bool } };
"#;

fn pack(cedar: &str, more: &[(&str, &str)]) -> PackFiles {
    let mut files = PackFiles::default();
    for (name, text) in [("pack.toml", "name = \"p\"\n"), ("a.cedar", cedar)].iter().chain(more) {
        files.files.insert((*name).into(), SourceFile { shown: (*name).into(), text: (*text).into() });
    }
    files
}

/// Rules with the lines that they are about.
fn found(cedar: &str, more: &[(&str, &str)]) -> Vec<(&'static str, usize)> {
    let findings = lint(&pack(cedar, more)).unwrap();
    findings.told.iter().map(|finding| (finding.rule.name(), finding.line)).collect()
}

fn when(condition: &str) -> String {
    format!("permit(principal, action == Action::\"read\", resource)\nwhen {{ {condition} }};")
}

#[test]
fn what_can_not_all_be_so_never_matches() {
    for condition in [
        "false",
        "!true",
        "1 == 2",
        "2 < 1",
        "true && !(1 == 1)",
        "if 1 == 1 then false else context.x",
        "context.x == 1 && context.x == 2",
        "context.x == 1 && 2 == context.x",
        "context.x == 1 && context.x != 1",
        "context.x == \"a\" && (context.y && context.x == \"b\")",
        "context.a && !context.a",
        "!(context.a || context.b) && context.b",
        "context.x < 3 && context.x > 2",
        "context.x <= 3 && context.x >= 4",
        "3 > context.x && context.x >= 3",
        "context.x == 5 && context.x < 5",
        "context.x > 9223372036854775806 && context.x < 9223372036854775807",
        "principal is User && principal is Admin",
        "principal is User && !(principal is User)",
        "principal == User::\"a\" && principal is Admin",
        "principal == User::\"a\" && principal == User::\"b\"",
        "action == Action::\"write\"",
        "context.a && (false || false)",
        "context has a && !(context has a)",
    ] {
        assert_eq!(found(&when(condition), &[]), [("never-matches", 2)], "{condition}");
    }
    let unless = "permit(principal, action, resource is Document)\nwhen { context.a }\nunless { context.a };";
    assert_eq!(found(unless, &[]), [("never-matches", 3)]);
    let scope = "forbid(principal is User, action, resource) when { principal == Admin::\"a\" };";
    assert_eq!(found(scope, &[]), [("never-matches", 1)]);
    assert_eq!(found("permit(principal, action in [], resource);", &[]), [("never-matches", 1)]);
}

#[test]
fn what_can_be_so_is_not_told() {
    for condition in [
        "context.x == 1 || context.x == 2",
        "context.x != 1 && context.x != 2",
        "context.x < 3 && context.x > 1",
        "context.x >= 3 && context.x <= 3 && context.x == 3",
        "context.a || !context.a",
        "context.x == 1 && context.y == 2",
        "if context.a then context.b == 1 else context.b == 2",
        "principal is User || principal is Admin",
        "!(principal is User) && !(principal is Admin)",
        "principal == User::\"a\" && principal is User",
        "context.x == 1 && context.x == 1",
        "(false || context.a) && (true && context.b)",
        "[1, 2].contains(context.x) && context.x > 0",
    ] {
        assert_eq!(found(&when(condition), &[]), [], "{condition}");
    }
}

#[test]
fn a_permit_of_everything_is_told_and_one_of_something_is_not() {
    for open in ["", " when { true }", " when { 1 == 1 }", " unless { false || 2 < 1 }"] {
        let cedar = format!("// First.\npermit(principal, action, resource){open};");
        assert_eq!(found(&cedar, &[]), [("always-allows", 2)], "{open}");
    }
    for narrow in [
        "permit(principal is User, action, resource);",
        "permit(principal, action in [Action::\"read\"], resource);",
        "permit(principal, action, resource) when { context.a };",
        "forbid(principal, action, resource);",
    ] {
        assert_eq!(found(narrow, &[]), [], "{narrow}");
    }
}

#[test]
fn a_permit_that_a_forbid_covers_is_told() {
    let permit = "permit(principal == User::\"a\", action == Action::\"read\", resource is Document) when { context.a && context.b };";
    for forbid in [
        "forbid(principal, action, resource);",
        "forbid(principal == User::\"a\", action, resource);",
        "forbid(principal in User::\"a\", action, resource);",
        "forbid(principal is User, action, resource is Document);",
        "forbid(principal is User in User::\"a\", action, resource);",
        "forbid(principal, action == Action::\"read\", resource);",
        "forbid(principal, action in [Action::\"write\", Action::\"read\"], resource);",
        "forbid(principal, action, resource) when { context.b };",
        "forbid(principal, action, resource) when { context.b && context.a && true };",
    ] {
        assert_eq!(found(&format!("{permit}\n{forbid}"), &[]), [("shadowed-by-forbid", 1)], "{forbid}");
    }
    for forbid in [
        "forbid(principal == User::\"b\", action, resource);",
        "forbid(principal is Admin, action, resource);",
        "forbid(principal in Group::\"g\", action, resource);",
        "forbid(principal, action == Action::\"write\", resource);",
        "forbid(principal, action in [Action::\"write\"], resource);",
        "forbid(principal, action, resource is Folder);",
        "forbid(principal, action, resource) when { context.c };",
        "forbid(principal, action, resource) unless { context.a };",
        "forbid(principal, action, resource) when { context.a && context.c };",
    ] {
        assert_eq!(found(&format!("{permit}\n{forbid}"), &[]), [], "{forbid}");
    }
    // A forbid that never matches forbids nothing.
    let never = format!("{permit}\nforbid(principal, action, resource) when {{ false }};");
    assert_eq!(found(&never, &[]), [("never-matches", 2)]);
}

#[test]
fn groups_of_actions_are_known_from_the_schema() {
    let cedar = "permit(principal, action == Action::\"read\", resource);\n\
                 permit(principal, action in [Action::\"read\", Action::\"write\"], resource);\n\
                 forbid(principal, action in Action::\"all\", resource);";
    let told = found(cedar, &[("schema.cedarschema", SCHEMA)]);
    assert_eq!(told, [("shadowed-by-forbid", 1), ("shadowed-by-forbid", 2)]);
}

#[test]
fn a_policy_that_stands_twice_is_told_once_and_obligations_tell_two_apart() {
    let one = "permit(principal is User, action, resource) when { context.a && context.b };\n";
    let other =
        "@id(\"x\")\npermit(principal is User, action, resource) when { context.b } when { context.a };\n";
    assert_eq!(found(&format!("{one}{other}"), &[]), [("duplicate", 2)]);
    let obliging = "@obligation(\"notify:x\")\npermit(principal is User, action, resource) when { context.a && context.b };\n";
    let negated = "permit(principal is User, action, resource) when { context.a } unless { context.b };\n";
    let forbid = "forbid(principal is User, action, resource) when { context.a && context.c };\n";
    assert_eq!(found(&format!("{one}{obliging}{negated}{forbid}"), &[]), []);
}

#[test]
fn an_entity_that_is_not_stored_beside_others_is_told() {
    let entities = r#"[{"uid": {"type": "User", "id": "a"}, "attrs": {}, "parents": []}]"#;
    let more = [("entities.json", entities)];
    assert_eq!(
        found("permit(\n  principal == User::\"b\", action, resource);", &more),
        [("unknown-entity", 2)]
    );
    let condition = "permit(principal, action, resource is Document)\nwhen { resource == Group::\"g\" ||\n[User::\"b\"].contains(principal) };";
    assert_eq!(found(condition, &more), [("unknown-entity", 3)]);
    assert_eq!(found("permit(principal == User::\"a\", action, resource in Group::\"g\");", &more), []);
    let unknown_action = "permit(principal, action == Action::\"raed\", resource);";
    assert_eq!(found(unknown_action, &[("schema.cedarschema", SCHEMA)])[0].0, "unknown-entity");
}

#[test]
fn an_attribute_that_some_lack_is_to_be_guarded() {
    let entities = r#"[{"uid": {"type": "User", "id": "a"}, "attrs": {"level": 1, "name": "a"}, "parents": []},
        {"uid": {"type": "User", "id": "b"}, "attrs": {"name": "b"}, "parents": []},
        {"uid": {"type": "Bot", "id": "b"}, "attrs": {}, "parents": []}]"#;
    let more = [("entities.json", entities)];
    let of = |effect: &str, condition: &str| {
        found(
            &format!("{effect}(principal, action == Action::\"read\", resource)\nwhen {{ {condition} }};"),
            &more,
        )
    };
    for unguarded in [
        "principal.level > 3",
        "context.a || principal.level > 3",
        "(principal has level || context.a) && principal.level > 3",
        "!(principal has level) && principal.level > 3",
        "if principal has level then true else principal.level > 3",
        "[principal.level].contains(3)",
        "principal.level > 3 && principal has level",
        "(context.a && principal has level) || principal.level > 3",
    ] {
        assert_eq!(of("permit", unguarded), [("missing-attribute", 2)], "{unguarded}");
        assert_eq!(of("forbid", unguarded), [("error-forbid", 2)], "{unguarded}");
    }
    for guarded in [
        "principal has level && principal.level > 3",
        "context.a && principal has level && (context.b || principal.level > 3)",
        "!(principal has level) || principal.level > 3",
        "if principal has level then principal.level > 3 else false",
        "(principal has level && context.a || principal has level) && principal.level > 3",
        "principal has level.x && principal.level.x == 3",
        "principal.name == \"a\"",
        "context.level > 3",
        "resource.unheard > 3",
    ] {
        let told = of("permit", guarded);
        assert!(told.is_empty(), "{guarded}: {told:?}");
    }
    let typed = "permit(principal is User, action, resource) when { principal.level > 3 };";
    assert_eq!(found(typed, &more), [("missing-attribute", 1)]);
    let one = "permit(principal == User::\"a\", action, resource) when { principal.level > 3 };";
    assert_eq!(found(one, &more), []);
}

#[test]
fn what_the_schema_says_is_told_by_the_names_of_the_rules() {
    let told = |condition: &str| {
        let cedar = when(condition);
        found(&cedar, &[("schema.cedarschema", SCHEMA)])
    };
    assert_eq!(told("principal.nick == \"x\""), [("missing-attribute", 2)]);
    assert_eq!(told("principal has nick && principal.nick == \"x\""), []);
    assert_eq!(told("principal.levle == 3"), [("invalid", 2)]);
    assert_eq!(told("resource is User")[0].0, "never-matches");
    let forbid = when("context.mfa").replace("permit", "forbid");
    assert_eq!(found(&forbid, &[("schema.cedarschema", SCHEMA)]), [("error-forbid", 2)]);
    let unfit = "permit(principal is Admin, action == Action::\"read\", resource);";
    assert_eq!(found(unfit, &[("schema.cedarschema", SCHEMA)]), [("never-matches", 1)]);
}

#[test]
fn what_a_policy_allows_is_not_told_and_an_unknown_rule_is() {
    let open = "permit(principal, action, resource);";
    assert_eq!(found(&format!("@lint_allow(\"duplicate, always-allows\")\n{open}"), &[]), []);
    assert_eq!(found(&format!("@lint_allow(\"duplicate\")\n{open}"), &[]), [("always-allows", 1)]);
    let told = found(&format!("@lint_allow(\"always-allows, always-alows\")\n{open}"), &[]);
    assert_eq!(told, [("unknown-rule", 1)]);
}

#[test]
fn a_finding_says_where_in_characters_and_how_to_mend_it() {
    let cedar = "// é\n@id(\"é\") permit(principal, action, resource is D) when { context.é == 1 && context.é == 2 };";
    let Err(problems) = lint(&pack(cedar, &[])) else { panic!("an identifier is of ASCII") };
    assert!(!problems.is_empty());
    let cedar = cedar.replace("context.é", "context[\"é\"]");
    let findings = lint(&pack(&cedar, &[])).unwrap();
    let text = findings.told[0].to_string();
    let column = cedar.lines().nth(1).unwrap().chars().take_while(|c| *c != '&').count() + 4;
    assert!(
        text.starts_with(&format!("a.cedar:2:{column}: warning: never-matches: policy `é` never matches")),
        "{text}"
    );
    assert!(text.ends_with("take the policy away"), "{text}");
}

#[test]
fn many_findings_are_counted_and_not_all_told() {
    let cedar: String = (0..MOST_FINDINGS + 5).map(|n| when(&format!("context.x{n} && false"))).collect();
    let findings = lint(&pack(&cedar, &[])).unwrap();
    assert_eq!((findings.told.len(), findings.untold), (MOST_FINDINGS, 5));
}

#[test]
fn work_grows_with_the_number_of_policies_and_not_with_its_square() {
    // Comparing each permit with each forbid would be 25 million comparisons; the index names none of them.
    let policy = |n: usize| {
        format!(
            "forbid(principal == User::\"f{n}\", action, resource) when {{ context.a{n} }};\n\
             permit(principal == User::\"p{n}\", action == Action::\"read\", resource) when {{ context.b{n} }};\n"
        )
    };
    let cedar: String = (0..5_000).map(policy).collect();
    assert_eq!(found(&cedar, &[]), []);
    let chain = (0..3_000).map(|n| format!("context.x{n} == 1")).collect::<Vec<_>>();
    for joint in [" && ", " || "] {
        assert_eq!(found(&when(&chain.join(joint)), &[]), []);
    }
}
