//! SQL, cut into tokens as databases cut it.

/// A piece of SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// A name or keyword.
    Word(&'a str),
    /// `@name`, `@@name`.
    Variable(&'a str),
    Number,
    /// A string in such quotes, perhaps one without an end.
    Text(char),
    Operator(&'a str),
    /// `--`, `#`, `/* … */`.
    Comment,
    Semicolon,
    Open,
    Close,
    Comma,
    Dot,
    Other,
}

/// More tokens say no more.
const MOST: usize = 400;

/// Cuts text. `quote` is the quote that is open at its beginning: what is before its end is a string.
pub(crate) fn tokens(text: &str, quote: Option<char>) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    if let Some(quote) = quote {
        match rest.split_once(quote) {
            None => return tokens,
            Some((_, after)) => rest = after,
        }
        tokens.push(Token::Text(quote));
    }
    while let Some(first) = rest.chars().next() {
        if tokens.len() >= MOST {
            break;
        }
        let (token, length) = next(rest, first);
        if let Some(token) = token {
            tokens.push(token);
        }
        rest = rest.get(length.max(first.len_utf8())..).unwrap_or_default();
    }
    tokens
}

/// The next token, and how long it is.
fn next(rest: &str, first: char) -> (Option<Token<'_>>, usize) {
    let until = |stop: fn(char) -> bool| rest.find(stop).unwrap_or(rest.len());
    match first {
        c if c.is_whitespace() || c == '\0' => (None, c.len_utf8()),
        '\'' | '"' => text(rest, first),
        '`' => text(rest, first),
        '0'..='9' => (Some(Token::Number), number(rest)),
        c if c.is_alphabetic() || c == '_' => {
            let length = until(|c| !(c.is_alphanumeric() || c == '_' || c == '$'));
            (rest.get(..length).map(Token::Word), length)
        }
        '@' => {
            let length = until(|c| !(c.is_alphanumeric() || matches!(c, '_' | '@' | '$' | '.')));
            (rest.get(..length).map(Token::Variable), length)
        }
        // `--infant` is what a search leaves out; a comment has a space, a line's end or another sign there.
        '-' if rest.starts_with("--") && !rest.as_bytes().get(2).is_some_and(u8::is_ascii_alphanumeric) => {
            (Some(Token::Comment), line(rest))
        }
        // `#2` is a number; what hides the rest of a query has nothing to say, or a line behind it.
        '#' if rest.contains('\n') || !rest.contains(|c: char| c.is_ascii_alphanumeric()) => {
            (Some(Token::Comment), line(rest))
        }
        '/' if rest.starts_with("/*!") => {
            // MySQL runs what stands in it.
            let digits = rest.get(3..).unwrap_or_default();
            (None, 3 + digits.bytes().take_while(u8::is_ascii_digit).count())
        }
        '/' if rest.starts_with("/*") => {
            let end = rest.get(2..).and_then(|rest| rest.find("*/"));
            // One with an end is a space to the database.
            match end {
                Some(end) => (None, end + 4),
                None => (Some(Token::Comment), rest.len()),
            }
        }
        '*' if rest.starts_with("*/") => (None, 2),
        ';' => (Some(Token::Semicolon), 1),
        '(' => (Some(Token::Open), 1),
        ')' => (Some(Token::Close), 1),
        ',' => (Some(Token::Comma), 1),
        '.' if rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) => (Some(Token::Number), number(rest)),
        '.' => (Some(Token::Dot), 1),
        c if is_operator(c) => {
            const LONG: [&str; 14] =
                ["<=>", "!==", ">>=", "<<=", "||", "&&", "<>", "!=", "<=", ">=", ":=", "<<", ">>", "=="];
            let length = LONG.iter().find(|long| rest.starts_with(**long)).map_or(1, |long| long.len());
            (rest.get(..length).map(Token::Operator), length)
        }
        other => (Some(Token::Other), other.len_utf8()),
    }
}

fn is_operator(letter: char) -> bool {
    matches!(letter, '=' | '<' | '>' | '!' | '+' | '-' | '*' | '/' | '%' | '|' | '&' | '^' | '~' | ':')
}

fn line(rest: &str) -> usize {
    rest.find('\n').map_or(rest.len(), |end| end + 1)
}

/// `1`, `1.5e3`, `0xff`, and whatever hangs on it without a space.
fn number(rest: &str) -> usize {
    let length = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.')).unwrap_or(rest.len());
    let all = rest.get(..length).unwrap_or_default();
    // `1or` and `1union` are two tokens to MySQL.
    let digits = all.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let word = all.get(digits..).unwrap_or_default();
    if ["or", "and", "union", "from", "xor", "div", "mod", "having", "limit", "order"]
        .iter()
        .any(|known| word.starts_with(known))
    {
        digits
    } else {
        length
    }
}

/// A string to its quote; doubled and escaped quotes do not end it.
fn text(rest: &str, quote: char) -> (Option<Token<'_>>, usize) {
    let mut letters = rest.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                letters.next();
            }
            letter if letter == quote => {
                if letters.peek().is_some_and(|(_, next)| *next == quote) {
                    letters.next();
                } else {
                    return (Some(Token::Text(quote)), at + 1);
                }
            }
            _ => {}
        }
    }
    (Some(Token::Text(quote)), rest.len())
}
