//! Words that must not be in the project: paths of one machine.

use super::{Source, report, sources};

/// Put together here, so that this file does not find itself.
const FORBIDDEN: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/home", "/")];

fn problems(source: &Source) -> Vec<String> {
    let lines = source.text.lines().enumerate();
    let found = lines.flat_map(|(index, line)| {
        FORBIDDEN.iter().filter(|word| line.contains(**word)).map(move |word| (index + 1, word))
    });
    found.map(|(line, word)| format!("{}:{line}: `{word}` is a path of one machine", source.path)).collect()
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    report(&sources().unwrap().iter().flat_map(problems).collect::<Vec<_>>());
}

#[test]
fn a_path_of_one_machine_is_found_with_its_line() {
    for word in FORBIDDEN {
        let source = Source::made_up("docs/a.md", &format!("fine\nsee {word}x\n"));
        assert_eq!(problems(&source), [format!("docs/a.md:2: `{word}` is a path of one machine")]);
    }
    assert!(problems(&Source::made_up("docs/a.md", "the network/or a framework/x")).is_empty());
}
