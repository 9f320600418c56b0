//! Personal data in a text: what kind, and from where to where.
//!
//! Promises: what has a checksum is found only when it fits; what is found does not overlap. Must never: cost more than a
//! look at the bytes when there is no sign of any.

use crate::digits::{Run, Window};
use crate::fold::Folded;

mod address;
mod card;
mod email;
mod iban;
mod letters;
mod national;
mod phone;

/// What was found. Of two in one place the one that is named first here is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Email,
    Iban,
    Card,
    /// By its name in the configuration.
    National(&'static str),
    Address,
    Phone,
    /// Several that overlap.
    Mixed,
}

/// Where something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Found {
    pub(crate) fn is_card_number(&self) -> bool {
        self.kind == Kind::Card
    }

    /// The same text for all ways to write it.
    pub(crate) fn canonical(&self, folded: &Folded) -> String {
        let letters = folded.letters(self.start, self.end);
        match self.kind {
            Kind::Email | Kind::Address | Kind::Mixed => letters.flat_map(char::to_lowercase).collect(),
            Kind::Phone => letters.filter(|letter| letter.is_ascii_digit() || *letter == '+').collect(),
            _ => letters.filter(|letter| letter.is_alphanumeric()).flat_map(char::to_uppercase).collect(),
        }
    }
}

/// The names of all kinds in the configuration.
pub(crate) const KINDS: [&str; 6] = ["email", "card", "iban", "phone", "ip", "national_id"];

/// What is looked for.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    email: bool,
    iban: bool,
    card: bool,
    address: bool,
    phone: bool,
    national: Vec<&'static str>,
}

impl Wanted {
    /// By the names of the configuration; none when one is no such name.
    pub(crate) fn named(names: &[String]) -> Option<Self> {
        let mut wanted = Self::default();
        for name in names {
            match name.as_str() {
                "email" => wanted.email = true,
                "iban" => wanted.iban = true,
                "card" => wanted.card = true,
                "ip" => wanted.address = true,
                "phone" => wanted.phone = true,
                "national_id" => wanted.national.extend(national_ids()),
                one => wanted.national.push(national_ids().find(|known| *known == one)?),
            }
        }
        Some(wanted)
    }

    pub(crate) fn everything() -> Self {
        Self::named(&KINDS.map(str::to_owned)).unwrap_or_default()
    }

    /// Whether it is worth to look closer: a look at the bytes.
    pub(crate) fn may_be_in(&self, text: &str) -> bool {
        let (mut digits, mut colons) = (0, 0);
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => digits += 1,
                b':' => colons += 1,
                b'@' | b'%' if self.email => return true,
                // It may read as anything.
                0x80.. => return self.is_something(),
                _ => {}
            }
        }
        let numbers = self.iban || self.card || self.phone || !self.national.is_empty();
        (numbers && digits >= 5) || (self.address && (digits >= 4 || colons >= 2))
    }

    fn is_something(&self) -> bool {
        self.email || self.iban || self.card || self.address || self.phone || !self.national.is_empty()
    }

    /// All there is, in the text's order.
    pub(crate) fn find(&self, folded: &Folded) -> Vec<Found> {
        let mut found = Vec::new();
        let mut add = |kind, places: Vec<(usize, usize)>| {
            found.extend(places.into_iter().map(|(start, end)| Found { kind, start, end }));
        };
        if self.email {
            add(Kind::Email, email::find(folded));
        }
        if self.iban {
            add(Kind::Iban, iban::find(folded));
        }
        if self.address {
            add(Kind::Address, address::find(folded));
        }
        let found_in = |(kind, start, end): (Kind, usize, usize)| Found { kind, start, end };
        if self.card || self.phone || !self.national.is_empty() {
            for run in Run::all(folded) {
                found.extend(self.find_numbers(&run, folded).into_iter().map(found_in));
            }
            found.extend(letters::find(&self.national, folded).into_iter().map(found_in));
        }
        settle(found)
    }

    /// The one thing that all of a text is, if it is one.
    pub(crate) fn whole(&self, folded: &Folded) -> Option<Found> {
        match self.find(folded).as_slice() {
            [found] if folded.is_whole(found.start, found.end) => Some(*found),
            _ => None,
        }
    }

    fn find_numbers(&self, run: &Run, folded: &Folded) -> Vec<(Kind, usize, usize)> {
        let mut found = Vec::new();
        if self.card {
            found.extend(run.windows(|window| card::is_card(window, folded).then_some(Kind::Card)));
        }
        if !self.national.is_empty() {
            let national =
                |window: Window<'_>| national::which(&self.national, window, folded).map(Kind::National);
            found.extend(run.windows(national));
        }
        if self.phone {
            found.extend(phone::find(run, folded));
        }
        found
    }
}

fn national_ids() -> impl Iterator<Item = &'static str> {
    national::names().chain(letters::names())
}

/// Makes one of those that overlap: the first kind, when it covers the others; else something that nothing is shown of.
fn settle(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|found| (found.start, std::cmp::Reverse(found.end), found.kind));
    let mut settled: Vec<Found> = Vec::with_capacity(found.len());
    for next in found {
        let Some(last) = settled.last_mut().filter(|last| next.start < last.end) else {
            settled.push(next);
            continue;
        };
        let (start, end) = (last.start, last.end.max(next.end));
        let covers = |found: &Found| found.start == start && found.end == end;
        let first = if next.kind < last.kind { next } else { *last };
        let larger = if covers(last) { *last } else { next };
        let kind = if covers(&first) {
            first.kind
        } else if covers(&larger) && larger.kind == Kind::Email {
            // What is within an e-mail address is a part of it.
            Kind::Email
        } else {
            Kind::Mixed
        };
        *last = Found { kind, start, end };
    }
    settled
}

#[cfg(test)]
mod tests;
