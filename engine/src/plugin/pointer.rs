//! JSON pointers (RFC 6901), in the one spelling that each place has.

use serde_json::Value;

/// What stands at a pointer. A tilde that escapes nothing makes it no pointer: readers that take one find two spellings
/// of one place.
pub(super) fn find<'a>(root: &'a Value, pointer: &str) -> Option<&'a Value> {
    let escapes = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if escapes { root.pointer(pointer) } else { None }
}

/// Adds a member's name to a pointer.
pub(super) fn push(pointer: &mut String, name: &str) {
    pointer.push('/');
    if !name.contains(['~', '/']) {
        return pointer.push_str(name);
    }
    for letter in name.chars() {
        match letter {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_place_has_one_spelling() {
        let root = json!({"~": 1, "a/b": 2, "~1": 3, "": 4, "list": [5]});
        for (pointer, found) in [("/~0", 1), ("/a~1b", 2), ("/~01", 3), ("/", 4), ("/list/0", 5)] {
            assert_eq!(find(&root, pointer), Some(&json!(found)), "{pointer}");
        }
        for pointer in ["/~", "/~2", "/a~", "/list/00", "/list/+0", "/list/-", "list"] {
            assert_eq!(find(&root, pointer), None, "{pointer}");
        }
    }

    #[test]
    fn what_is_pushed_is_found() {
        for name in ["", "a", "~", "/", "~1", "~0/", "\u{e4}"] {
            let mut pointer = String::new();
            push(&mut pointer, name);
            assert_eq!(find(&json!({name: 1}), &pointer), Some(&json!(1)), "{pointer}");
        }
    }
}
