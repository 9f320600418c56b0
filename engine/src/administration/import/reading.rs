//! A whole source: read on one thread, checked on two, collected in its order.
//!
//! Promises: what is collected is all of the source, or there is a fault; the same entity twice is a fault that names
//! both places.

use std::collections::HashMap;
use std::io::{self, BufRead};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle, scope};

use super::array::ArrayReader;
use super::check::Checker;
use super::lines::LineReader;
use super::present::name;
use super::rows::{Collecting, Rows};
use super::table::TableReader;
use super::{Fault, Piece, Place, Wrong};
use crate::store::imports::StagedRow;

/// The most bytes of one entity in a file.
pub const ENTITY_BYTES: usize = 16 << 20;
const CHECKERS: usize = 2;
/// Pieces that are handed on together.
const TOGETHER: usize = 512;
/// Cedar reads values by recursion.
const STACK_BYTES: usize = 16 << 20;

/// A source in one of the formats.
#[derive(Debug)]
pub enum Source<R> {
    /// A JSON list.
    Array(ArrayReader<R>),
    /// Lines.
    Lines(LineReader<R>),
    /// A table.
    Table(TableReader<R>),
}

impl<R: BufRead> Source<R> {
    fn next_piece(&mut self) -> Option<Result<Piece, Fault>> {
        match self {
            Self::Array(reader) => reader.next_piece(),
            Self::Lines(reader) => reader.next_piece(),
            Self::Table(reader) => reader.next_piece(),
        }
    }
}

/// Collects checked rows, each entity once.
#[derive(Debug)]
pub struct Collector {
    rows: Collecting,
    /// Where each entity stands: element (0 for none) and line, by the digest of its name.
    places: HashMap<u128, (u64, u64), foldhash::fast::RandomState>,
}

impl Collector {
    /// Collects in a folder that only the service can read.
    ///
    /// # Errors
    /// When no file can be made there.
    pub fn within(folder: &Path) -> io::Result<Self> {
        Ok(Self { rows: Collecting::within(folder)?, places: HashMap::default() })
    }

    /// Adds a row; gives a fault when the entity was there before.
    ///
    /// # Errors
    /// When the row can't be written.
    pub fn add(&mut self, place: Place, row: &StagedRow) -> io::Result<Option<Fault>> {
        let at = (place.element.unwrap_or(0), place.line);
        if let Some((element, line)) = self.places.insert(name(&row.type_name, &row.id), at) {
            let element = Some(element).filter(|element| *element != 0);
            let wrong = Wrong::Twice(Place { element, line });
            let field = Some(format!("{}::{:?}", row.type_name, row.id));
            return Ok(Some(Fault { place, field, wrong }));
        }
        self.rows.add(row)?;
        Ok(None)
    }

    /// How many rows were collected.
    pub fn count(&self) -> u64 {
        self.rows.count()
    }

    /// How many bytes they are.
    pub fn bytes(&self) -> u64 {
        self.rows.bytes()
    }

    /// All of them.
    ///
    /// # Errors
    /// When the last ones can't be written.
    pub fn finish(self) -> io::Result<Rows> {
        self.rows.finish()
    }
}

/// What is wrong with a source.
#[derive(Debug, Default)]
pub struct Faults {
    /// The first ones.
    pub first: Vec<Fault>,
    /// How many there are.
    pub count: u64,
}

/// How many faults are kept.
pub const SHOWN: usize = 20;

impl Faults {
    fn add(&mut self, fault: Fault) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(fault);
        }
    }
}

/// Reads and checks all of a source. `progress` is told how many rows there are so far.
///
/// # Errors
/// When rows can't be collected.
pub fn read_all<R: BufRead + Send>(
    mut source: Source<R>,
    checker: &Checker,
    mut collector: Collector,
    progress: &mut dyn FnMut(u64),
) -> io::Result<Result<Rows, Faults>> {
    let mut faults = Faults::default();
    scope(|scope| {
        let (inputs, outputs): (Vec<_>, Vec<_>) = (0..CHECKERS).map(|_| channels()).unzip();
        let (pieces, receivers): (Vec<_>, Vec<_>) = inputs.into_iter().unzip();
        let (senders, checked): (Vec<_>, Vec<_>) = outputs.into_iter().unzip();
        let mut threads = vec![spawn(scope, move || hand_out(&mut source, &pieces))?];
        for (pieces, checked) in receivers.into_iter().zip(senders) {
            let checker = checker.clone();
            threads.push(spawn(scope, move || check(checker, &pieces, &checked))?);
        }
        // Pieces were dealt out in turn, so results are taken in turn.
        'all: for checked in checked.iter().cycle() {
            let Ok(results) = checked.recv() else { break 'all };
            for result in results {
                let fault = match result {
                    Ok((place, row)) => collector.add(place, &row)?,
                    Err(fault) => Some(fault),
                };
                fault.into_iter().for_each(|fault| faults.add(fault));
            }
            progress(collector.count());
        }
        drop(checked);
        // A thread that ended otherwise than by its end has not given all.
        let failed = threads.into_iter().filter_map(|thread| thread.join().err()).count();
        if failed == 0 {
            Ok(())
        } else {
            Err(io::Error::other("a checking thread failed, which is a defect"))
        }
    })?;
    if faults.count > 0 {
        return Ok(Err(faults));
    }
    collector.finish().map(Ok)
}

type Pieces = Vec<Result<Piece, Fault>>;
type Checked = Vec<Result<(Place, StagedRow), Fault>>;
type Channel<T> = (SyncSender<T>, Receiver<T>);

fn channels() -> (Channel<Pieces>, Channel<Checked>) {
    (sync_channel(4), sync_channel(4))
}

fn spawn<'s, 'e>(
    scope: &'s Scope<'s, 'e>,
    work: impl FnOnce() + Send + 's,
) -> io::Result<ScopedJoinHandle<'s, ()>> {
    Builder::new().name("import".into()).stack_size(STACK_BYTES).spawn_scoped(scope, work)
}

/// Deals pieces out to the checkers, until there are none or nobody takes them.
fn hand_out<R: BufRead>(source: &mut Source<R>, to: &[SyncSender<Pieces>]) {
    for checker in to.iter().cycle() {
        let pieces: Pieces = std::iter::from_fn(|| source.next_piece()).take(TOGETHER).collect();
        if pieces.is_empty() || checker.send(pieces).is_err() {
            return;
        }
    }
}

fn check(mut checker: Checker, pieces: &Receiver<Pieces>, checked: &SyncSender<Checked>) {
    for pieces in pieces {
        let check = |piece: Result<Piece, Fault>| {
            let piece = piece?;
            Ok((piece.place, checker.check(&piece)?))
        };
        if checked.send(pieces.into_iter().map(check).collect()).is_err() {
            return;
        }
    }
}
