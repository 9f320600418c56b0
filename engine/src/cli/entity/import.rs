//! `portcullis entity import`.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::progress::Progress;
use super::{ImportArgs, format_of, mapping_of};
use crate::administration::import::array::ArrayReader;
use crate::administration::import::check::{Allowed, Checker};
use crate::administration::import::lines::LineReader;
use crate::administration::import::mapping::Mapping;
use crate::administration::import::present::Present;
use crate::administration::import::reading::{Collector, ENTITY_BYTES, Faults, Source, read_all};
use crate::administration::import::rows::Rows;
use crate::administration::import::table::TableReader;
use crate::administration::import::work::{Step, Work, carry_out};
use crate::administration::import::{Format, table::Columns};
use crate::app::open_store;
use crate::cli::{Failure, announce, block_on, print, root_key, say, system};
use crate::clock::Clock;
use crate::store::imports::Imported;

pub(super) fn import(args: &ImportArgs) -> Result<ExitCode, Failure> {
    let config = args.place.read()?;
    let file = Some(args.file.as_path()).filter(|file| file.as_os_str() != "-");
    let format = format_of(args.format.as_deref(), file)
        .ok_or("say with `--format` how the entities are written: cedar-json, ndjson or csv")?;
    let mapping = mapping_of(args.mapping.as_deref(), format)?;
    let pack = args.whose.pack(&config)?;
    let root = root_key(&config)?;
    let (clock, rng) = system();
    let progress = Progress::new(Arc::clone(&clock));
    block_on(async {
        // Before the file is read: what is wrong here is known at once.
        let store = open_store(&config, &root).await?;
        let collector = Collector::within(&config.data.folder)?;
        let allowed = Allowed { roles: true, roles_as_parents: args.roles_as_parents };
        let checker = |table| Checker::new(&pack, allowed, table);
        let rows = match read(file, (format, mapping), checker, collector, &progress)? {
            Ok(rows) => rows,
            Err(faults) => {
                show(&args.file, &faults);
                return Err("nothing was imported".into());
            }
        };
        let present = Present::read(&store, (&args.whose.tenant, pack.name())).await?;
        let expected = present.count(&rows)?;
        let unchanged = expected.created + expected.updated == 0;
        if args.dry_run || unchanged {
            present.check(&pack, &rows, clock.now())?;
            let sequence = present.sequence;
            progress.clear();
            if !args.dry_run {
                // The same again: what could not be announced before is announced now.
                announce(&config, &store).await?;
            }
            say_done(if args.dry_run { "it would be: " } else { "" }, expected, sequence);
        } else {
            let (store, clock, rng, tenant) = (&store, &*clock, &*rng, args.whose.tenant.as_str());
            let count = rows.count;
            let work =
                Work { store, clock, rng, tenant, pack: Arc::clone(&pack), caller_id: None, rows, may: None };
            let mut first = true;
            let finished = carry_out(&work, present, |step| match step {
                Step::Staged(staged) => {
                    if std::mem::take(&mut first) && staged > 0 {
                        progress.note(&format!(
                            "going on: {staged} of {count} entities wait in the store already"
                        ));
                    }
                    progress.staged(staged, count);
                }
                Step::Finishing => progress.finishing(),
            })
            .await?;
            progress.clear();
            announce(&config, store).await?;
            say_done("", finished.imported, finished.sequence);
        }
        store.close().await;
        Ok(ExitCode::SUCCESS)
    })
}

fn say_done(before: &str, imported: Imported, sequence: u64) {
    let Imported { created, updated, unchanged } = imported;
    print(&format!(
        "{before}created {created}, updated {updated}, unchanged {unchanged}, revision {sequence}"
    ));
}

type Table = Option<Arc<(Mapping, Columns)>>;

fn read(
    file: Option<&Path>,
    (format, mapping): (Format, Option<Mapping>),
    checker: impl Fn(Table) -> Checker,
    collector: Collector,
    progress: &Progress,
) -> Result<Result<Rows, Faults>, Failure> {
    let (input, length): (Box<dyn Read + Send>, Option<u64>) = match file {
        None => (Box::new(io::stdin()), None),
        Some(path) => {
            let failed = |error: io::Error| format!("can't read `{}`: {error}", path.display());
            let file = File::open(path).map_err(failed)?;
            let about = file.metadata().map_err(failed)?;
            if about.is_dir() {
                return Err(format!("`{}` is a folder", path.display()).into());
            }
            (Box::new(file), about.is_file().then_some(about.len()))
        }
    };
    let read = Arc::new(AtomicU64::new(0));
    let counting = Counting { input, read: Arc::clone(&read) };
    let input = BufReader::with_capacity(1 << 18, counting);
    let mut table = None;
    let source = match (format, mapping) {
        (Format::CedarJson, _) => Source::Array(ArrayReader::new(input, ENTITY_BYTES)),
        (Format::Csv, Some(mapping)) => match TableReader::new(input, &mapping) {
            Ok((reader, columns)) => {
                table = Some(Arc::new((mapping, columns)));
                Source::Table(reader)
            }
            Err(fault) => return Ok(Err(Faults { first: vec![fault], count: 1 })),
        },
        _ => Source::Lines(LineReader::new(input, ENTITY_BYTES)),
    };
    let mut tell = |rows| progress.checked(rows, (read.load(Ordering::Relaxed), length));
    Ok(read_all(source, &checker(table), collector, &mut tell)?)
}

/// Counts what is read, for the progress.
struct Counting {
    input: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn show(file: &Path, faults: &Faults) {
    for fault in &faults.first {
        say(&format!("error: {}: {fault}", file.display()));
    }
    if faults.count > faults.first.len() as u64 {
        say(&format!("… {} errors in all", faults.count));
    }
}
