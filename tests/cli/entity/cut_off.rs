//! An import that is ended by `kill -9`, and goes on where it was.

use std::time::Duration;

use serde_json::{Value, json};

use crate::import::fixture::{entity, exported, file, import, lines, may_read, serve_office};

const USERS: usize = 30_000;

#[test]
fn an_import_that_is_cut_off_shows_nothing_and_goes_on_where_it_was() {
    let server = serve_office();
    let user = |n: usize| {
        let id = if n + 1 == USERS { "bob".to_owned() } else { format!("u{n}") };
        json!({"type": "user", "id": id, "attributes": {"level": n}, "parents": [{"type": "group", "id": "staff"}]})
    };
    let mut all: Vec<Value> = (0..USERS).map(user).collect();
    all.push(json!({"type": "document", "id": "plan", "parents": [{"type": "folder", "id": "shared"}]}));
    let path = file(&server, "many.ndjson", &lines(&all));
    let (mut cuts, mut went_on, mut wait) = (0, 0, Duration::from_millis(200));
    loop {
        let mut process = entity(&server, "import", &[path.to_str().unwrap()]).start();
        let ended = process.wait(wait);
        went_on += usize::from(process.stderr().contains("going on"));
        if let Some(status) = ended {
            assert_eq!(status, 0, "{}", process.stderr());
            break;
        }
        process.kill();
        cuts += 1;
        // Half an import is no import.
        if exported(&server, &[]).is_empty() {
            assert!(!may_read(&server, "bob", "plan", 0));
        } else {
            assert_eq!(exported(&server, &[]).len(), USERS + 1);
        }
        wait += Duration::from_millis(150);
    }
    assert!(cuts > 0 && went_on > 0, "{cuts} cuts, {went_on} times it went on");
    assert!(
        may_read(&server, "bob", "plan", 0) || {
            std::thread::sleep(Duration::from_secs(2));
            may_read(&server, "bob", "plan", 0)
        }
    );
    assert_eq!(exported(&server, &[]).len(), USERS + 1);
    let said = import(&server, &path, &[]).expect_status(0).stdout;
    assert!(said.starts_with(&format!("created 0, updated 0, unchanged {}", USERS + 1)), "{said}");
}
