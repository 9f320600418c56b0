//! Digits in a text, in the groups that people write them in.
//!
//! Promises: a window is made of whole groups. Must never: join digits that anything but a separator stands between.

use crate::fold::Folded;

/// More digits than this are no number that is looked for.
pub(crate) const MOST: usize = 19;
/// As in `) - `: so many separators may stand between two groups.
const MOST_SEPARATORS: usize = 3;

/// Digits without anything between them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// How many digits of the run are before it.
    offset: usize,
    /// What stands before it, when a group does.
    pub(crate) separator: Option<char>,
}

impl Group {
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }
}

/// Groups with nothing but separators between them.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) groups: Vec<Group>,
    digits: Vec<u8>,
}

/// Some groups of a run, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'r> {
    pub(crate) groups: &'r [Group],
    pub(crate) digits: &'r [u8],
    /// Whether the run begins with it.
    pub(crate) is_first: bool,
}

impl Window<'_> {
    pub(crate) fn start(&self) -> usize {
        self.groups.first().map_or(0, |group| group.start)
    }

    pub(crate) fn end(&self) -> usize {
        self.groups.last().map_or(0, |group| group.end)
    }

    /// Whether the groups have these lengths.
    pub(crate) fn is_grouped(&self, lengths: &[usize]) -> bool {
        self.groups.len() == lengths.len()
            && self.groups.iter().zip(lengths).all(|(group, length)| group.len() == *length)
    }

    /// Whether a letter touches it: it is then a part of a word.
    pub(crate) fn is_in_word(&self, folded: &Folded) -> bool {
        let is_letter =
            |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
        is_letter(folded.before(self.start())) || is_letter(folded.at(self.end()))
    }
}

impl Run {
    /// All of them in a text.
    pub(crate) fn all(folded: &Folded) -> Vec<Self> {
        let mut runs = Vec::new();
        let mut at = 0;
        while at < folded.len() {
            if is_digit(folded.at(at)) {
                let run = Self::at(folded, at);
                at = run.groups.last().map_or(at + 1, |group| group.end);
                runs.push(run);
            } else {
                at += 1;
            }
        }
        runs
    }

    fn at(folded: &Folded, start: usize) -> Self {
        let mut run = Self { groups: Vec::new(), digits: Vec::new() };
        let mut next = Some((start, None));
        while let Some((start, separator)) = next {
            let offset = run.digits.len();
            let mut end = start;
            while let Some(value) = folded.at(end).and_then(|letter| letter.to_digit(10)) {
                run.digits.push(u8::try_from(value).unwrap_or_default());
                end += 1;
            }
            run.groups.push(Group { start, end, offset, separator });
            let separators = (1..=MOST_SEPARATORS).find(|count| !is_separator(folded.at(end + count - 1)));
            let after = end + separators.map_or(MOST_SEPARATORS, |count| count - 1);
            next = (after > end && is_digit(folded.at(after))).then(|| (after, folded.at(end)));
        }
        run
    }

    /// What a test makes something of: at each place the longest, and nothing twice.
    pub(crate) fn windows<T>(&self, mut test: impl FnMut(Window<'_>) -> Option<T>) -> Vec<(T, usize, usize)> {
        let mut found = Vec::new();
        let mut from = 0;
        while from < self.groups.len() {
            let longest = self.longest(from);
            let hit = (from + 1..=longest).rev().find_map(|to| {
                let window = self.window(from, to)?;
                Some((test(window)?, to, window.start(), window.end()))
            });
            match hit {
                Some((made, to, start, end)) => {
                    found.push((made, start, end));
                    from = to;
                }
                None => from += 1,
            }
        }
        found
    }

    /// Behind the last group with which there are not too many digits.
    fn longest(&self, from: usize) -> usize {
        let first = self.groups.get(from).map_or(0, |group| group.offset);
        let rest = self.groups.iter().skip(from);
        from + rest.take_while(|group| group.offset + group.len() - first <= MOST).count()
    }

    fn window(&self, from: usize, to: usize) -> Option<Window<'_>> {
        let groups = self.groups.get(from..to)?;
        let (first, last) = (groups.first()?, groups.last()?);
        let digits = self.digits.get(first.offset..last.offset + last.len())?;
        Some(Window { groups, digits, is_first: from == 0 })
    }
}

fn is_digit(letter: Option<char>) -> bool {
    letter.is_some_and(|letter| letter.is_ascii_digit())
}

fn is_separator(letter: Option<char>) -> bool {
    letter.is_some_and(|letter| matches!(letter, ' ' | '-' | '.' | '/' | '(' | ')'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_joined_over_separators_alone() {
        let folded = Folded::new("a 12-34 (5) x 6,7");
        let runs = Run::all(&folded);
        let lengths: Vec<Vec<usize>> =
            runs.iter().map(|run| run.groups.iter().map(Group::len).collect()).collect();
        assert_eq!(lengths, [vec![2, 2, 1], vec![1], vec![1]]);
    }

    #[test]
    fn the_longest_window_is_taken_first() {
        let run = &Run::all(&Folded::new("1 2 3 4 5"))[0];
        let short = |window: Window<'_>| (window.digits.len() <= 2).then_some(());
        assert_eq!(run.windows(short), [((), 0, 3), ((), 4, 7), ((), 8, 9)]);
        assert_eq!(run.windows(|window| (window.digits == [2, 3]).then_some(())), [((), 2, 5)]);
    }
}
