//! Just enough of Rust's grammar for the checks: tokens, and the paths that code names.
//!
//! Comments are dropped, and what stands in a string is never taken for code.

/// A piece of Rust text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Word(String),
    /// The inside of a string literal, escapes left as they are.
    Text(String),
    /// `::`
    Separator,
    Mark(char),
}

/// Cuts Rust text into tokens.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let letters: Vec<char> = text.chars().collect();
    let mut reader = Reader { letters: &letters, at: 0 };
    let mut found = Vec::new();
    while let Some(letter) = reader.peek(0) {
        match letter {
            '/' if reader.peek(1) == Some('/') => reader.skip_line(),
            '/' if reader.peek(1) == Some('*') => reader.skip_block(),
            '"' => {
                reader.at += 1;
                found.push(Token::Text(reader.string(0, true)));
            }
            '\'' => reader.skip_quote(),
            ':' if reader.peek(1) == Some(':') => {
                reader.at += 2;
                found.push(Token::Separator);
            }
            _ if is_of_word(letter) => {
                let word = reader.word();
                found.push(reader.prefixed_string(&word).map_or(Token::Word(word), Token::Text));
            }
            _ => {
                reader.at += 1;
                if !letter.is_whitespace() {
                    found.push(Token::Mark(letter));
                }
            }
        }
    }
    found
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

struct Reader<'a> {
    letters: &'a [char],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.letters.get(self.at + ahead).copied()
    }

    fn skip_line(&mut self) {
        while self.peek(0).is_some_and(|letter| letter != '\n') {
            self.at += 1;
        }
    }

    fn skip_block(&mut self) {
        let mut depth = 0_usize;
        while let Some(letter) = self.peek(0) {
            match (letter, self.peek(1)) {
                ('/', Some('*')) => {
                    depth += 1;
                    self.at += 2;
                }
                ('*', Some('/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// Reads a string to its end, which is a quote and as many `#` as given.
    fn string(&mut self, hashes: usize, has_escapes: bool) -> String {
        let mut inside = String::new();
        while let Some(letter) = self.peek(0) {
            self.at += 1;
            if letter == '"' && (0..hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                self.at += hashes;
                break;
            }
            inside.push(letter);
            if letter == '\\' && has_escapes {
                inside.extend(self.peek(0));
                self.at += 1;
            }
        }
        inside
    }

    /// After the letters before a string (`r`, `b`, `br`, `c`, `cr`): the string.
    fn prefixed_string(&mut self, word: &str) -> Option<String> {
        if !matches!(word, "r" | "b" | "br" | "c" | "cr") {
            return None;
        }
        let is_raw = word.ends_with('r');
        let mut hashes = 0;
        while is_raw && self.peek(hashes) == Some('#') {
            hashes += 1;
        }
        if self.peek(hashes) != Some('"') {
            return None;
        }
        self.at += hashes + 1;
        Some(self.string(hashes, !is_raw))
    }

    /// Skips a character literal, or the mark of a lifetime.
    fn skip_quote(&mut self) {
        self.at += 1;
        if self.peek(0) == Some('\\') {
            self.at += 2;
            while self.peek(0).is_some_and(|letter| letter != '\'') {
                self.at += 1;
            }
            self.at += 1;
        } else if self.peek(1) == Some('\'') {
            self.at += 2;
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(letter) = self.peek(0).filter(|letter| is_of_word(*letter)) {
            word.push(letter);
            self.at += 1;
        }
        word
    }
}

/// Every path that the text names, `use` trees spread out into one path each.
pub(super) fn paths(text: &str) -> Vec<Vec<String>> {
    let tokens = tokens(text);
    let mut cursor = Cursor { tokens: &tokens, at: 0 };
    let mut found = Vec::new();
    while let Some(token) = cursor.next() {
        match token {
            Token::Word(word) if word == "use" => cursor.use_tree(&[], &mut found),
            Token::Word(word) => {
                let mut path = vec![word];
                while let (Some(Token::Separator), Some(Token::Word(next))) = (cursor.peek(0), cursor.peek(1))
                {
                    path.push(next);
                    cursor.at += 2;
                }
                found.push(path);
            }
            _ => {}
        }
    }
    found
}

struct Cursor<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self, ahead: usize) -> Option<Token> {
        self.tokens.get(self.at + ahead).cloned()
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek(0)?;
        self.at += 1;
        Some(token)
    }

    fn use_tree(&mut self, prefix: &[String], found: &mut Vec<Vec<String>>) {
        let mut path = prefix.to_vec();
        while let Some(token) = self.peek(0) {
            match token {
                Token::Word(word) if word == "as" => {
                    self.at += 2;
                    break;
                }
                Token::Word(word) => path.push(word),
                Token::Separator => {}
                Token::Mark('*') => path.push("*".to_owned()),
                Token::Mark('{') => {
                    self.at += 1;
                    self.group(&path, found);
                    return;
                }
                Token::Mark(_) | Token::Text(_) => break,
            }
            self.at += 1;
        }
        found.push(path);
    }

    /// The trees between braces; ends behind the closing one.
    fn group(&mut self, prefix: &[String], found: &mut Vec<Vec<String>>) {
        loop {
            match self.peek(0) {
                None => return,
                Some(Token::Mark('}')) => {
                    self.at += 1;
                    return;
                }
                Some(Token::Word(_) | Token::Separator | Token::Mark('*' | '{')) => {
                    self.use_tree(prefix, found)
                }
                Some(_) => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(text: &str) -> Vec<String> {
        paths(text).iter().map(|path| path.join("::")).filter(|path| path.contains("::")).collect()
    }

    #[test]
    fn a_use_tree_is_spread_out() {
        let text = "pub use crate::{self as own, http::{error, caller::*}, clock};";
        assert_eq!(
            joined(text),
            ["crate::self", "crate::http::error", "crate::http::caller::*", "crate::clock"]
        );
    }

    #[test]
    fn paths_in_code_are_found_and_those_in_comments_and_strings_are_not() {
        let text = r##"
            // crate::no
            /* crate::no /* sqlx::no */ crate::no */
            fn f<'a>(x: &'a str) -> char { let y = '"'; ::sqlx::query("crate::no \" x::y"); '\'' }
            const T: &str = r#"crate::no "quoted" x::y"#; let r#type = crate::yes::<u8>();
        "##;
        assert_eq!(joined(text), ["sqlx::query", "crate::yes"]);
    }

    #[test]
    fn the_inside_of_a_string_is_kept() {
        let text = r##"f("SELECT 1", br#"a"b"#)"##;
        let texts: Vec<_> =
            tokens(text).into_iter().filter(|token| matches!(token, Token::Text(_))).collect();
        assert_eq!(texts, [Token::Text("SELECT 1".to_owned()), Token::Text("a\"b".to_owned())]);
    }
}
