//! Every kind of change to the files is found, and where.

use proptest::prelude::*;

use super::*;

/// A cleanly closed log of three segments or more, with 30 decisions.
async fn closed() -> Place {
    let place = Place::new().await;
    let log = place.open_small().await;
    append(&log, 1..31).await;
    log.close().await.unwrap();
    let report = place.verify();
    assert!(report.is_whole() && report.warnings.is_empty(), "{report:?}");
    assert_eq!(report.decisions, 30);
    assert!(report.segments >= 3);
    place
}

fn only(report: &Report) -> &Finding {
    assert_eq!(report.findings_total, 1, "{:#?}", report.findings);
    &report.findings[0]
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let mut all = lines(path);
    change(&mut all);
    std::fs::write(path, all.concat()).unwrap();
}

#[tokio::test]
async fn an_edited_record_is_named_with_file_line_byte_and_number() {
    let place = closed().await;
    let path = &place.segments()[1];
    let before = lines(path);
    edit(path, |all| {
        let text = String::from_utf8(all[2].clone()).unwrap();
        all[2] = text.replace("\"n\":", "\"m\":").into_bytes();
    });
    let report = place.verify();
    let found = only(&report);
    let seq = serde_json::from_slice::<serde_json::Value>(&before[2]).unwrap()["chain"]["seq"].as_u64();
    assert_eq!(found.problem, Problem::Edited);
    let file = path.file_name().unwrap().to_str().unwrap();
    let offset = (before[0].len() + before[1].len()) as u64;
    assert_eq!(found.place, super::super::Place { file: file.into(), line: 3, offset, seq });
    let text = found.to_string();
    assert!(text.starts_with(&format!(
        "{file} line 3, byte {offset}, sequence number {}: this record",
        seq.unwrap()
    )));
}

#[tokio::test]
async fn an_edit_of_any_byte_is_found() {
    let place = closed().await;
    for path in place.segments() {
        let good = std::fs::read(&path).unwrap();
        // A step that shares no factor with the lines' lengths meets every part of a record.
        for at in (0..good.len()).step_by(23).chain(good.len() - 80..good.len()) {
            let mut bad = good.clone();
            bad[at] ^= if at % 2 == 0 { 1 } else { 0x20 };
            std::fs::write(&path, &bad).unwrap();
            assert!(!place.verify().is_whole(), "{} byte {at}", path.display());
        }
        std::fs::write(&path, &good).unwrap();
    }
    assert!(place.verify().is_whole());
}

#[tokio::test]
async fn a_removed_record_is_named_by_its_number() {
    let place = closed().await;
    edit(&place.segments()[0], |all| drop(all.remove(2)));
    assert_eq!(only(&place.verify()).problem, Problem::Missing { from: 3, to: 3 });
}

#[tokio::test]
async fn a_duplicated_record_is_found_where_it_stands() {
    let place = closed().await;
    edit(&place.segments()[0], |all| all.insert(4, all[2].clone()));
    let report = place.verify();
    assert!(matches!(report.findings[0].problem, Problem::Repeated { expected: 5 }), "{report:?}");
    assert_eq!((report.findings[0].place.line, report.findings[0].place.seq), (5, Some(3)));
}

#[tokio::test]
async fn swapped_records_are_found() {
    let place = closed().await;
    edit(&place.segments()[0], |all| all.swap(2, 3));
    let report = place.verify();
    assert_eq!(report.findings[0].problem, Problem::Missing { from: 3, to: 3 });
    assert!(report.findings.iter().any(|it| matches!(it.problem, Problem::Repeated { .. })));
}

#[tokio::test]
async fn the_end_cut_is_found_by_the_folders_own_checkpoint() {
    let place = closed().await;
    edit(&place.last_segment(), |all| drop(all.pop()));
    let report = place.verify();
    let found = only(&report);
    assert!(
        matches!(found.problem, Problem::Cut { ends_at, covered } if covered == ends_at + 1),
        "{found:?}"
    );
}

#[tokio::test]
async fn cutting_log_and_checkpoints_alike_still_misses_the_clean_end() {
    let place = closed().await;
    std::fs::remove_file(place.log().join("checkpoints.jsonl")).unwrap();
    edit(&place.last_segment(), |all| drop(all.pop()));
    assert!(matches!(only(&place.verify()).problem, Problem::Cut { .. }));
}

#[tokio::test]
async fn a_whole_segment_removed_is_found_wherever_it_is() {
    for which in 0..3 {
        let place = closed().await;
        let mut files = place.segments();
        files.truncate(files.len().max(3));
        let gone = if which == 2 { files.len() - 1 } else { which };
        std::fs::remove_file(&files[gone]).unwrap();
        let report = place.verify();
        let found = only(&report);
        match which {
            0 => {
                let problem = &found.problem;
                assert!(
                    matches!(problem, Problem::MissingSegment { previous, .. } if *previous == file_of(&files[0]))
                );
                assert_eq!(found.place.file, file_of(&files[1]));
            }
            1 => assert!(
                matches!(&found.problem, Problem::MissingSegment { previous, missing } if *previous == file_of(&files[1]) && *missing > 1)
            ),
            _ => assert!(matches!(found.problem, Problem::Cut { .. })),
        }
    }
}

fn file_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_tail_of_an_inner_segment_cut_is_found() {
    let place = closed().await;
    edit(&place.segments()[1], |all| drop(all.pop()));
    assert!(matches!(&only(&place.verify()).problem, Problem::MissingSegment { missing: 1, .. }));
}

#[tokio::test]
async fn an_emptied_a_renamed_and_an_extra_file_are_found() {
    let place = closed().await;
    let files = place.segments();
    let stray = place.log().join("1.jsonl");
    std::fs::write(&stray, b"").unwrap();
    assert_eq!(only(&place.verify()).problem, Problem::Stranger);
    std::fs::remove_file(&stray).unwrap();

    let good = std::fs::read(&files[1]).unwrap();
    std::fs::write(&files[1], b"").unwrap();
    assert!(place.verify().findings.iter().any(|it| it.problem == Problem::Emptied));
    std::fs::write(&files[1], &good).unwrap();

    let first = files[1].file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap();
    let renamed = place.log().join(format!("{:020}.jsonl", first + 1));
    std::fs::rename(&files[1], &renamed).unwrap();
    assert_eq!(only(&place.verify()).problem, Problem::Renamed { first });
}

#[tokio::test]
async fn all_segments_removed_is_a_cut_and_so_is_the_whole_folder() {
    let place = closed().await;
    let kept = checkpoint(place.folder.path(), &place.root(), place.clock.as_ref()).unwrap();
    for file in place.segments() {
        std::fs::remove_file(file).unwrap();
    }
    assert!(matches!(only(&place.verify()).problem, Problem::Cut { ends_at: 0, .. }));
    std::fs::remove_file(place.log().join("checkpoints.jsonl")).unwrap();
    assert!(matches!(only(&place.verify()).problem, Problem::Cut { ends_at: 0, .. }));
    std::fs::remove_dir_all(place.log()).unwrap();
    let problem = &only(&place.verify_against(&kept)).problem.clone();
    assert_eq!(*problem, Problem::Cut { ends_at: 0, covered: kept.seq });
    let without = verify(place.folder.path(), &place.root(), None);
    assert!(matches!(without, Err(AuditError::NoLog(_))));
}

#[tokio::test]
async fn an_older_copy_put_back_shows_against_a_checkpoint_kept_elsewhere() {
    let place = closed().await;
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&place.log(), copy.path());
    let log = place.open_small().await;
    append(&log, 31..41).await;
    log.close().await.unwrap();
    let kept = checkpoint(place.folder.path(), &place.root(), place.clock.as_ref()).unwrap();
    assert!(place.verify_against(&kept).is_whole());

    std::fs::remove_dir_all(place.log()).unwrap();
    copy_folder(copy.path(), &place.log());
    assert!(place.verify().is_whole(), "an older copy is whole in itself");
    let report = place.verify_against(&kept);
    assert!(matches!(only(&report).problem, Problem::Cut { covered, .. } if covered == kept.seq));

    let log = place.open_small().await;
    append(&log, 100..141).await;
    log.close().await.unwrap();
    assert!(place.verify().is_whole(), "and so is what is appended to it");
    let report = place.verify_against(&kept);
    let found = only(&report);
    assert_eq!((&found.problem, found.place.seq), (&Problem::Rewritten, Some(kept.seq)));
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test]
async fn a_forged_record_at_the_end_is_found() {
    let place = closed().await;
    let other = Place::new().await;
    let node = std::fs::read(place.log().join("node")).unwrap();
    std::fs::create_dir_all(other.log()).unwrap();
    std::fs::write(other.log().join("node"), node).unwrap();
    let log = other.open().await;
    append(&log, 1..60).await;
    log.close().await.unwrap();
    // What fits in number and node, made with another key.
    let next = place.verify().head.unwrap().seq + 1;
    let forged = lines(&other.last_segment())
        .into_iter()
        .find(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap()["chain"]["seq"] == next)
        .unwrap();
    edit(&place.last_segment(), |all| all.push(forged));
    assert_eq!(only(&place.verify()).problem, Problem::Edited);
}

#[tokio::test]
async fn bytes_at_the_end_that_no_crash_leaves_are_found() {
    for stray in [&b"\n"[..], b" ", b"{}\n", b"{\"chain\":{\"v\":2", b"\xff"] {
        let place = closed().await;
        edit(&place.last_segment(), |all| all.push(stray.to_vec()));
        assert!(!place.verify().is_whole(), "{stray:?}");
    }
}

#[tokio::test]
async fn checkpoints_that_are_not_this_logs_are_found() {
    let (place, other) = (closed().await, closed().await);
    let foreign = checkpoint(other.folder.path(), &other.root(), other.clock.as_ref()).unwrap();
    assert!(matches!(only(&place.verify_against(&foreign)).problem, Problem::BadCheckpoint(_)));
    let mut edited = checkpoint(place.folder.path(), &place.root(), place.clock.as_ref()).unwrap();
    edited.seq -= 1;
    assert!(matches!(only(&place.verify_against(&edited)).problem, Problem::BadCheckpoint(_)));
    let path = place.log().join("checkpoints.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    for bad in
        [text.replace("\"seq\":", "\"seq\":1"), format!("{text}{{}}\n"), text.replace("\"v\":1", "\"v\":x")]
    {
        std::fs::write(&path, bad).unwrap();
        let report = place.verify();
        assert!(matches!(report.findings[0].problem, Problem::BadCheckpoint(_)), "{report:?}");
    }
}

#[tokio::test]
async fn an_edited_node_file_and_reservation_are_found() {
    let place = closed().await;
    let path = place.log().join("node");
    let node = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(only(&place.verify()).problem, Problem::NodeFile);
    assert!(matches!(place.try_open(|_| ()).await, Err(AuditError::BadNode(_))));
    std::fs::write(&path, format!("nod_{}\n", "0".repeat(32))).unwrap();
    assert!(place.verify().findings.iter().any(|it| it.problem == Problem::OtherNode));
    assert!(matches!(place.try_open(|_| ()).await, Err(AuditError::OtherNode { .. })));
    std::fs::write(&path, node).unwrap();
    std::fs::write(place.log().join("reserved"), "x".repeat(1024)).unwrap();
    assert_eq!(only(&place.verify()).problem, Problem::Reservation);
}

#[tokio::test]
async fn no_checkpoint_is_signed_over_a_broken_chain() {
    let place = closed().await;
    edit(&place.segments()[0], |all| drop(all.remove(2)));
    let refused = checkpoint(place.folder.path(), &place.root(), place.clock.as_ref());
    assert!(matches!(refused, Err(AuditError::NotWhole { findings: 1, .. })));
}

#[derive(Debug, Clone)]
enum Mutation {
    Byte(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Duplicate(prop::sample::Index, prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Truncate(prop::sample::Index),
    RemoveFile(prop::sample::Index),
    SwapFiles(prop::sample::Index, prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    use Mutation as M;
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), 1_u8..).prop_map(|(at, flip)| M::Byte(at, flip)),
        at().prop_map(M::Remove),
        (at(), at()).prop_map(|(from, to)| M::Duplicate(from, to)),
        (at(), at()).prop_map(|(one, other)| M::Swap(one, other)),
        at().prop_map(M::Truncate),
        at().prop_map(M::RemoveFile),
        (at(), at()).prop_map(|(one, other)| M::SwapFiles(one, other)),
    ]
}

/// Makes the change; false when it changes nothing.
fn apply(change: &Mutation, files: &[PathBuf], file: prop::sample::Index) -> bool {
    let path = file.get(files);
    let (mut bytes, mut all) = (std::fs::read(path).unwrap(), lines(path));
    match change {
        Mutation::Byte(at, flip) => {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            std::fs::write(path, bytes).unwrap();
        }
        Mutation::Truncate(at) => std::fs::write(path, &bytes[..at.index(bytes.len())]).unwrap(),
        Mutation::RemoveFile(at) => std::fs::remove_file(at.get(files)).unwrap(),
        Mutation::SwapFiles(one, other) => {
            let (one, other) = (one.get(files), other.get(files));
            let (left, right) = (std::fs::read(one).unwrap(), std::fs::read(other).unwrap());
            std::fs::write(one, &right).unwrap();
            std::fs::write(other, &left).unwrap();
            return left != right;
        }
        Mutation::Remove(at) => {
            all.remove(at.index(all.len()));
            std::fs::write(path, all.concat()).unwrap();
        }
        Mutation::Duplicate(from, to) => {
            let line = from.get(&all).clone();
            all.insert(to.index(all.len() + 1), line);
            std::fs::write(path, all.concat()).unwrap();
        }
        Mutation::Swap(one, other) => {
            let (one, other) = (one.index(all.len()), other.index(all.len()));
            all.swap(one, other);
            std::fs::write(path, all.concat()).unwrap();
            return one != other;
        }
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_single_change_is_reported(
        batches in prop::collection::vec(1_u64..8, 1..10),
        changes in prop::collection::vec((mutation(), any::<prop::sample::Index>()), 1..12),
        segment_bytes in 500_u64..5_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let place = runtime.block_on(async {
            let place = Place::new().await;
            let log = place.try_open(|options| options.segment_bytes = segment_bytes).await.unwrap();
            let mut batch = Batch::new();
            let mut number = 0;
            for size in &batches {
                for _ in 0..*size {
                    number += 1;
                    push(&mut batch, number, Timestamp(1));
                }
                log.append(&mut batch).await.unwrap();
            }
            log.close().await.unwrap();
            place
        });
        let report = place.verify();
        prop_assert!(report.is_whole() && report.warnings.is_empty(), "{:?}", report);
        prop_assert_eq!(report.decisions, batches.iter().sum::<u64>());
        let files = place.segments();
        let good: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
        for (change, file) in &changes {
            if apply(change, &files, *file) {
                prop_assert!(!place.verify().is_whole(), "{:?}", change);
            }
            for (file, bytes) in files.iter().zip(&good) {
                std::fs::write(file, bytes).unwrap();
            }
        }
        prop_assert!(place.verify().is_whole());
    }
}
